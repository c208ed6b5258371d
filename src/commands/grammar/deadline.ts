/** When a key expires: it follows from the time of the request, whenever that is run. */
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

/** @throws {VstoreError} ERR when the request's time is so far in the future that the sum is no whole number any more */
export function deadlineAfter(time: number, milliseconds: number): number {
  const deadline = time + milliseconds;
  if (Number.isSafeInteger(deadline)) return deadline;
  throw new VstoreError("ERR", `no key can expire ${milliseconds} ms after ${time}`);
}
