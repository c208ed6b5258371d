/**
 * Keeps how far an import has come in a small file: an import with the same --resume goes on there. It is written
 * whole under another name first, so a crash leaves the one before.
 */
import * as fs from "node:fs";
import { z } from "zod";
import { UseError } from "../exit.ts";
import type { Mark } from "./marks.ts";

export interface Origin {
  readonly collection: string;
  /** The input's path, size and time of its last change; of a pipe only that it is one; of a store what is read. */
  readonly input: string;
}

const schema = z.object({
  version: z.literal(1),
  collection: z.string(),
  input: z.string(),
  rows: z.number().int().min(0),
  mark: z.string().optional(),
});

export class Resume {
  readonly #path: string;
  readonly #origin: Origin;

  constructor(path: string, origin: Origin) {
    this.#path = path;
    this.#origin = origin;
  }

  /** Rows that are done: none when there is no such file. @throws UseError when it is of another import */
  read(): Mark {
    if (!fs.existsSync(this.#path)) return { position: 0, text: undefined };
    const state = this.#parsed();
    for (const part of ["collection", "input"] as const) {
      if (state[part] !== this.#origin[part])
        throw new UseError(
          `${this.#path} is of another import: its ${part} is ${state[part]}, not ${this.#origin[part]}`,
        );
    }
    return { position: state.rows, text: state.mark };
  }

  write({ position: rows, text: mark }: Mark): void {
    fs.writeFileSync(
      `${this.#path}.part`,
      `${JSON.stringify({ version: 1, ...this.#origin, rows, mark })}\n`,
    );
    fs.renameSync(`${this.#path}.part`, this.#path);
  }

  /** Everything is in. */
  remove(): void {
    fs.rmSync(this.#path, { force: true });
  }

  #parsed(): z.infer<typeof schema> {
    try {
      return schema.parse(JSON.parse(fs.readFileSync(this.#path, "utf8")));
    } catch {
      throw new UseError(`${this.#path} was not written by --resume`);
    }
  }
}

export function describeInput(path: string): string {
  const stats = path === "-" ? undefined : fs.statSync(path);
  if (!stats?.isFile()) return "a pipe";
  const { size, mtimeMs } = stats;
  return `${path}, ${size} bytes of ${new Date(mtimeMs).toISOString()}`;
}
