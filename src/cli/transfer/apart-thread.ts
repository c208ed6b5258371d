/** The thread that apart.ts starts: it opens the file, and decodes a page whenever it is asked for one. */
import { parentPort, workerData } from "node:worker_threads";
import type { BadRow, Row } from "../../bridge/transfer/row.ts";
import { UseError } from "../exit.ts";
import type { Page } from "../formats/format.ts";
import type { ApartTask, Said } from "./apart.ts";
import { openFile } from "./file-input.ts";

const { file, flags, skip } = workerData as ApartTask;
const port = parentPort!;
const say = (said: Said, owned: ArrayBuffer[] = []) => port.postMessage(said, owned);

function sayFault(error: unknown): void {
  say({ fault: (error as Error).message, isUse: error instanceof UseError });
}

/** With all vectors in one piece of memory that can be handed over: a decoder's are views of more than the page. */
function sayPage(page: Page, share: number | undefined): void {
  const lengths = page.map((row) => ("fault" in row ? 0 : row.vector.length));
  const floats = new Float32Array(lengths.reduce((sum, length) => sum + length, 0));
  let used = 0;
  const rows = page.map((row): Row | BadRow => {
    if ("fault" in row) return row;
    const vector = floats.subarray(used, used + row.vector.length);
    vector.set(row.vector);
    used += vector.length;
    return { ...row, vector };
  });
  say({ page: rows, share }, [floats.buffer]);
}

try {
  const { input, share } = await openFile(file, flags, skip);
  const { pages, marks: _, ...opened } = input;
  const each = pages()[Symbol.asyncIterator]();
  port.on("message", async () => {
    try {
      const { value, done } = await each.next();
      if (done) say("end");
      else sayPage(value, share());
    } catch (error) {
      sayFault(error);
    }
  });
  say({ opened });
} catch (error) {
  sayFault(error);
}
