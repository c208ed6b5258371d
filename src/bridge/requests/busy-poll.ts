/**
 * Busy-polls for a moment after each reply: a client that was just answered often sends again at once. Waking a
 * sleeping thread takes a good part of a short answer's time, while a loop that keeps turning sees the data at once. A
 * client that does not send again costs only this moment.
 */
import { availableParallelism } from "node:os";

/** With only one core, polling would take it from the clients. */
const hasCoreToSpare = availableParallelism() > 1;

/** @param arrival polls until it is settled, but no longer than `us` microseconds */
export function pollBusily(arrival: Promise<unknown>, us: number): void {
  if (!hasCoreToSpare) return;
  const end = performance.now() + us / 1000;
  let arrived = false;
  const markArrived = () => {
    arrived = true;
  };
  arrival.then(markArrived, markArrived);
  const turn = () => {
    if (!arrived && performance.now() < end) setImmediate(turn);
  };
  setImmediate(turn);
}
