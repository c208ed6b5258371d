/** Shows how far something is: a bar on a terminal, a line at the end elsewhere. */
import { Presets, SingleBar } from "cli-progress";

/** @returns to be called with what is done and what there is in total */
export function progress(what: string): (done: number, total: number) => void {
  return process.stderr.isTTY ? progressBar(what) : progressLine(what);
}

function progressBar(what: string): (done: number, total: number) => void {
  const bar = new SingleBar(
    { format: `${what} {bar} {value}/{total}`, stream: process.stderr, hideCursor: true },
    Presets.shades_classic,
  );
  return (done, total) => {
    if (done === 0) bar.start(total, 0);
    bar.update(done);
    if (done === total) bar.stop();
  };
}

function progressLine(what: string): (done: number, total: number) => void {
  return (done, total) => {
    if (done === total) process.stderr.write(`${what} ${done}/${total}\n`);
  };
}
