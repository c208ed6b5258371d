/** Shows how far something is: a bar on a terminal, a line at the end elsewhere. */
import { Presets, SingleBar } from "cli-progress";

type OnProgress = (done: number, total: number) => void;

/** @returns to be called with what is done and what there is in total */
export function progress(what: string): OnProgress {
  return process.stderr.isTTY ? progressBar(`${what} {bar} {value}/{total}`) : progressLine(what);
}

/** The same for bytes, and only on a terminal: the tools' output goes into scripts. */
export function bytesProgress(what: string): OnProgress {
  return process.stderr.isTTY ? progressBar(`${what} {bar} {percentage}%`) : () => {};
}

function progressBar(format: string): OnProgress {
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.shades_classic);
  return (done, total) => {
    if (done === 0) bar.start(total, 0);
    bar.update(done);
    if (done === total) bar.stop();
  };
}

function progressLine(what: string): OnProgress {
  return (done, total) => {
    if (done === total) process.stderr.write(`${what} ${done}/${total}\n`);
  };
}
