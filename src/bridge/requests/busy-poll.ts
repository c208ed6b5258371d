/**
 * Keeps the event loop turning for a moment while an arrival is expected. To wake a thread that sleeps is a good part
 * of a short answer's time; a loop that turns sees the data at once. A client that was answered often asks the next
 * thing within this moment; who does not costs no more than it.
 */
import { availableParallelism } from "node:os";

/** With one core only, polling would take it from those who are to send something. */
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
