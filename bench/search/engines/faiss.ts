/**
 * faiss HNSW, as Debian packages it (python3-faiss), plain and with scalar quantization. It runs in faiss_server.py,
 * which times itself; one line of JSON there and one back make a call.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Engine, EngineKind, Pass, Place } from "../engine.ts";
import { bytesOf, type Matrix } from "../matrix.ts";
import { EF_CONSTRUCTION, K, M } from "../settings.ts";

/** The one that Debian's packages belong to. */
const PYTHON = "/usr/bin/python3";
const PROGRAM = fileURLToPath(new URL("faiss_server.py", import.meta.url));

interface Answer {
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
  readonly error?: string;
}

export const faissKinds: readonly EngineKind[] = ["f32", "f16", "sq8"].map((quantization) => ({
  name: `faiss-${quantization}`,
  settings: quantization === "f32" ? "IndexHNSWFlat" : `IndexHNSWSQ ${quantization}`,
  cores: "in-process",
  open: async (place) => {
    const engine = new FaissEngine(place, quantization);
    await engine.start();
    return engine;
  },
}));

export class FaissEngine implements Engine {
  readonly #place: Place;
  readonly #quantization: string;
  readonly #python: ChildProcess = spawn(PYTHON, [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  readonly #answers = createInterface({ input: this.#python.stdout! })[Symbol.asyncIterator]();
  #asked = "";

  constructor(place: Place, quantization: string) {
    this.#place = place;
    this.#quantization = quantization;
  }

  async start(): Promise<void> {
    await once(this.#python, "spawn");
    const { dimensions, metric } = this.#place.set;
    const shape = {
      dimensions,
      metric,
      quantization: this.#quantization,
      M,
      efConstruction: EF_CONSTRUCTION,
    };
    await this.#call({ call: "open", threads: os.availableParallelism(), ...shape });
  }

  async build(base: Matrix): Promise<void> {
    await this.#call({ call: "build", file: this.#file("base", base) });
    fs.rmSync(`${this.#place.directory}/base`);
  }

  async save(): Promise<void> {
    await this.#call({ call: "save", file: this.#indexFile });
  }

  async load(): Promise<void> {
    await this.#call({ call: "load", file: this.#indexFile });
  }

  async setEf(ef: number): Promise<void> {
    await this.#call({ call: "ef", ef });
  }

  each(queries: Matrix): Promise<Pass> {
    return this.#pass("each", queries);
  }

  /** One query at a time, each among the rows of one of the bitmaps: `which` says of which. */
  filtered(queries: Matrix, bitmaps: readonly Uint8Array[], which: readonly number[]): Promise<Pass> {
    const file = `${this.#place.directory}/bitmaps`;
    fs.writeFileSync(file, Buffer.concat(bitmaps));
    return this.#pass("filtered", queries, { bitmaps: file, which });
  }

  flood(queries: Matrix): Promise<Pass> {
    return this.#pass("flood", queries);
  }

  processes(): readonly number[] {
    return [this.#python.pid!];
  }

  async close(): Promise<void> {
    const gone = once(this.#python, "exit");
    this.#python.stdin!.end();
    await gone;
  }

  get #indexFile(): string {
    return `${this.#place.directory}/index`;
  }

  async #pass(call: string, queries: Matrix, more?: object): Promise<Pass> {
    const file = `${this.#place.directory}/queries-${queries.rows}`;
    if (this.#asked !== file) this.#asked = this.#file(`queries-${queries.rows}`, queries);
    const found = `${this.#place.directory}/found`;
    const { seconds, latenciesMs } = await this.#call({ call, file, found, k: K, ...more });
    return { found: new Uint32Array(new Uint8Array(fs.readFileSync(found)).buffer), seconds, latenciesMs };
  }

  #file(name: string, rows: Matrix): string {
    const path = `${this.#place.directory}/${name}`;
    fs.writeFileSync(path, bytesOf(rows));
    return path;
  }

  async #call(request: object): Promise<Answer> {
    this.#python.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("faiss_server.py ended; is python3-faiss installed?");
    const answer = JSON.parse(value) as Answer;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
