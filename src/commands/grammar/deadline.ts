/** When a key expires: counted from the time of the request, whenever that is run. */
import { type DeadlineCondition, deadlineConditions } from "../../engine/generation/lifetimes.ts";
import type { Lifetime } from "../../engine/slots/expiry.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Context } from "../command.ts";
import {
  afterToken,
  collection,
  flag,
  integerValue,
  key,
  oneOf,
  options,
  sequence,
  word,
} from "./arguments.ts";

/** `EX seconds | PX milliseconds | KEEPTTL`, of a write that would otherwise remove the key's expiry. */
export const ttl = oneOf("expiry", {
  seconds: afterToken("EX", integerValue("seconds", 1, limits.ttlSecondsMax)),
  milliseconds: afterToken("PX", integerValue("milliseconds", 1, limits.ttlMsMax)),
  keep: flag("KEEPTTL", "keeps the expiry that the key has"),
});

/** @throws {VstoreError} as `deadlineAfter` */
export function lifetimeOf(
  given: { seconds: number } | { milliseconds: number } | { keep: true } | undefined,
  time: number,
): Lifetime {
  if (given === undefined) return {};
  if ("keep" in given) return { keepsDeadline: true };
  const milliseconds = "seconds" in given ? given.seconds * 1_000 : given.milliseconds;
  return { deadline: deadlineAfter(time, milliseconds) };
}

/**
 * @throws {VstoreError} ERR when the request's time is so far in the future that the sum is no whole number any more
 */
export function deadlineAfter(time: number, milliseconds: number): number {
  const deadline = time + milliseconds;
  if (Number.isSafeInteger(deadline)) return deadline;
  throw new VstoreError("ERR", `no key can expire ${milliseconds} ms after ${time}`);
}

const meaning =
  "only a key without expiry, only one with; only a later expiry, only an earlier one (none is the latest)";

/** `collection key <time> [NX | XX | GT | LT]` */
export const expiryArguments = (name: string, min: number, max: number) =>
  sequence({
    collection,
    key,
    when: integerValue(name, min, max),
    options: options({ condition: word("condition", deadlineConditions, meaning) }),
  });

export const expiryReply = "1, or 0 when there is no such key or the condition does not hold";

/** Sets a deadline: the common part of EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT. */
export function setDeadline(
  { catalog, time }: Context,
  input: { collection: string; key: Uint8Array; options: { condition?: DeadlineCondition } },
  deadline: number,
): number {
  const { lifetimes } = catalog.get(input.collection);
  return Number(lifetimes.expire(input.key, deadline, input.options.condition, time));
}

const NO_KEY = -2;
const NO_EXPIRY = -1;

/** The answer of TTL and PTTL, in units of so many milliseconds. */
export function timeLeft(
  { catalog }: Context,
  input: { collection: string; key: Uint8Array },
  unitMs: number,
) {
  const left = catalog.get(input.collection).lifetimes.left(input.key);
  if (left === undefined) return NO_KEY;
  return Number.isFinite(left) ? Math.round(left / unitMs) : NO_EXPIRY;
}
