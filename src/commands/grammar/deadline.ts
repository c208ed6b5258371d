/** When a request was made, and from that when a key expires: both follow from the request's id, whenever it is run. */
import { millisecondsOf } from "../../engine/log-id.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { afterToken, integerValue, oneOf } from "./arguments.ts";

/** `EX seconds | PX milliseconds` */
export const ttl = oneOf("expiry", {
  seconds: afterToken("EX", integerValue("seconds", 1, limits.ttlSecondsMax)),
  milliseconds: afterToken("PX", integerValue("milliseconds", 1, limits.ttlMsMax)),
});

export function toMilliseconds(given: { seconds: number } | { milliseconds: number }): number {
  return "seconds" in given ? given.seconds * 1_000 : given.milliseconds;
}

/** Milliseconds since 1970. */
export const timeOf = millisecondsOf;

/** @throws {VstoreError} ERR when the request's time is so far in the future that the sum is no whole number any more */
export function deadlineAfter(id: string, milliseconds: number): number {
  const deadline = timeOf(id) + milliseconds;
  if (Number.isSafeInteger(deadline)) return deadline;
  throw new VstoreError("ERR", `no key can expire ${milliseconds} ms after ${id}`);
}
