/**
 * Reads a file in a thread of its own, for formats that a library decodes: a damaged file may have it count for ever or
 * fill its memory. Here that ends the thread, with an error that says so, and nothing else.
 */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { BadRow, Row } from "../../bridge/transfer/row.ts";
import { UseError } from "../exit.ts";
import { type Format, type Input, type Page, unreadable } from "../formats/format.ts";
import type { FileInput } from "./file-input.ts";
import type { ImportFlags } from "./import-flags.ts";

export interface ApartTask {
  readonly file: string;
  readonly flags: ImportFlags;
  readonly skip: number;
}

/** What the thread says: first an opening, then one page for each message to it. */
export type Said =
  | { readonly opened: Omit<Input, "pages" | "marks"> }
  | { readonly page: Page; readonly share: number | undefined }
  | "end"
  | { readonly fault: string; readonly isUse: boolean };

export interface DecodingLimits {
  /** Of the objects that rows are decoded to. A page of 16 MiB takes a twentieth of it. */
  readonly heapMiB: number;
  /** Time that the thread may work on one page; waiting for a disk or a pipe is not counted. */
  readonly pageMs: number;
}

const decodingLimits: DecodingLimits = { heapMiB: 1_024, pageMs: 60_000 };
const lookMs = 500;

const program = new URL(`apart-thread${extname(import.meta.url)}`, import.meta.url);

/** @throws Error, UseError as `openFile` does */
export async function openApart(
  format: Format,
  task: ApartTask,
  limits = decodingLimits,
): Promise<FileInput> {
  const thread = new DecodingThread(format.decodedApartAs!, task, limits);
  let share: number | undefined;
  async function* pages(): AsyncGenerator<Page> {
    for (let said = await thread.ask(); said !== "end"; said = await thread.ask()) {
      if (!("page" in said)) throw new Error("the thread that decodes answered without a page");
      share = said.share;
      yield said.page.map(withBuffer);
    }
  }
  try {
    const said = await thread.next();
    if (said === "end" || !("opened" in said)) throw new Error("the thread that decodes opened nothing");
    return { input: { ...said.opened, pages }, share: () => share, close: () => thread.close() };
  } catch (error) {
    thread.close();
    throw error;
  }
}

class DecodingThread {
  readonly #format: string;
  readonly #isPiped: boolean;
  readonly #limits: DecodingLimits;
  readonly #thread: Worker;
  #waiting: { resolve: (said: Said) => void; reject: (error: Error) => void } | undefined;
  #ended: Error | undefined;

  constructor(format: string, task: ApartTask, limits: DecodingLimits) {
    this.#format = format;
    this.#limits = limits;
    this.#isPiped = task.file === "-";
    const resourceLimits = { maxOldGenerationSizeMb: limits.heapMiB };
    this.#thread = new Worker(program, { workerData: task, stdin: this.#isPiped, resourceLimits });
    this.#thread.on("error", (error: NodeJS.ErrnoException) => {
      const isFull = error.code === "ERR_WORKER_OUT_OF_MEMORY";
      this.#end(isFull ? `its rows take more than ${limits.heapMiB} MiB of memory` : error.message);
    });
    this.#thread.on("exit", () => this.#end("the thread that decodes has ended"));
    this.#thread.on("message", (said: Said) => this.#waiting?.resolve(said));
    if (this.#isPiped) process.stdin.pipe(this.#thread.stdin!);
  }

  ask(): Promise<Said> {
    this.#thread.postMessage("next");
    return this.next();
  }

  /** @throws Error when the thread reports one, has ended, or works for too long */
  async next(): Promise<Said> {
    const began = this.#thread.performance.eventLoopUtilization();
    const looks = setInterval(() => {
      const worked = this.#thread.performance.eventLoopUtilization(began).active;
      if (worked > this.#limits.pageMs)
        this.#end(`its rows are not decoded after ${this.#limits.pageMs / 1_000} s of work`);
    }, lookMs);
    try {
      const said = await new Promise<Said>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        if (this.#ended !== undefined) reject(this.#ended);
      });
      if (isFault(said)) throw said.isUse ? new UseError(said.fault) : new Error(said.fault);
      return said;
    } finally {
      clearInterval(looks);
    }
  }

  /** @param why as the first who tells it knows best */
  #end(why: string): void {
    this.#ended ??= unreadable(this.#format, why);
    this.#waiting?.reject(this.#ended);
    this.close();
  }

  close(): void {
    if (this.#isPiped) process.stdin.destroy();
    void this.#thread.terminate();
  }
}

const isFault = (said: Said): said is Extract<Said, { fault: string }> => said !== "end" && "fault" in said;

/** Between threads a Buffer becomes a Uint8Array. */
function withBuffer(row: Row | BadRow): Row | BadRow {
  if ("fault" in row || typeof row.key === "string") return row;
  const { buffer, byteOffset, byteLength } = row.key;
  return { ...row, key: Buffer.from(buffer, byteOffset, byteLength) };
}
