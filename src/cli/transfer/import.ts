/** `vstore import <collection> <file|->`: the rows of a file into a collection, through Redis like every client. */
import { connect } from "../../bridge/redis/connection.ts";
import { create, type Facts, factsOf } from "../../bridge/transfer/collection.ts";
import { Inserter } from "../../bridge/transfer/inserter.ts";
import { type BadRow, isBad, type Row } from "../../bridge/transfer/row.ts";
import { exitCodes, UseError } from "../exit.ts";
import type { Input, Page } from "../formats/format.ts";
import { count, counted } from "../text.ts";
import { BadRows, TooManyBadRows } from "./bad-rows.ts";
import type { ImportFlags } from "./import-flags.ts";
import { type Job, jobOf } from "./import-job.ts";
import { Meter } from "./meter.ts";

const saveMs = 1_000;

export async function runImport(
  collection: string,
  file: string | undefined,
  flags: ImportFlags,
): Promise<number> {
  const job = await jobOf(collection, file, flags);
  try {
    return await new Import(job).run();
  } finally {
    await job.close();
  }
}

class Import {
  readonly #job: Job;
  readonly #input: Input;
  readonly #bad: BadRows;
  readonly #stop = new AbortController();
  #inserter: Inserter | undefined;
  #meter: Meter | undefined;
  #read = 0;

  constructor(job: Job) {
    this.#job = job;
    this.#input = job.input;
    this.#bad = new BadRows(job.maxErrors, job.input.unit, (line) => this.#say(line));
    this.#read = job.skip;
  }

  async run(): Promise<number> {
    const began = performance.now();
    const stop = () => this.#stop.abort();
    const signals = ["SIGINT", "SIGTERM"] as const;
    for (const signal of signals) process.once(signal, stop);
    try {
      await this.#all();
    } finally {
      this.#meter?.stop();
      this.#inserter?.close();
      for (const signal of signals) process.off(signal, stop);
    }
    return this.#conclude((performance.now() - began) / 1000);
  }

  async #all(): Promise<void> {
    this.#say(this.#input.says);
    const pages = this.#input.pages()[Symbol.asyncIterator]();
    const first = await this.#firstGood(pages);
    const dimensions = this.#input.dimensions ?? dimensionsOf(first.value ?? []);
    const target = await this.#target(dimensions);
    this.#meter = new Meter(this.#job.isDryRun ? "checking" : "importing", () => this.#progress());
    if (!this.#job.isDryRun && target !== undefined) await this.#open(target.dimensions);
    const expected = target?.dimensions ?? dimensions ?? 0;
    const saving = setInterval(() => this.#save(), saveMs);
    try {
      for (let page = first; !page.done; page = await pages.next()) {
        for (const row of page.value) {
          const wait = this.#take(row, expected);
          if (wait !== undefined) await wait;
        }
        if (this.#bad.areTooMany || this.#stop.signal.aborted) return;
      }
    } finally {
      clearInterval(saving);
      await this.#inserter?.finish().finally(() => this.#save());
    }
  }

  /** The first page with a row that tells the dimensions; those before it are done then. */
  async #firstGood(pages: AsyncIterator<Page>): Promise<IteratorResult<Page>> {
    for (;;) {
      const page = await pages.next();
      if (page.done || this.#input.dimensions !== undefined) return page;
      if (dimensionsOf(page.value) !== undefined || this.#bad.areTooMany) return page;
      for (const row of page.value) this.#take(row, 0);
    }
  }

  /** The collection, created if --create is given. Undefined in a dry run for one that does not exist. */
  async #target(dimensions: number | undefined): Promise<Facts | undefined> {
    const { collection, url, metric, doesCreate, isDryRun } = this.#job;
    const redis = await connect(url, "vstore-import");
    try {
      const facts = await factsOf(redis, collection);
      if (facts === undefined && !doesCreate)
        throw new UseError(`there is no collection '${collection}'; --create makes it`);
      if (facts !== undefined) return this.#fitting(facts, dimensions);
      if (dimensions === undefined || isDryRun) return undefined;
      await create(redis, collection, dimensions, metric ?? "COSINE");
      return await factsOf(redis, collection);
    } finally {
      redis.disconnect();
    }
  }

  #fitting(facts: Facts, dimensions: number | undefined): Facts {
    const { collection, metric } = this.#job;
    if (metric !== undefined && metric !== facts.metric)
      throw new UseError(`collection '${collection}' has the metric ${facts.metric}, not ${metric}`);
    if (this.#input.dimensions !== undefined && dimensions !== facts.dimensions)
      throw new UseError(
        `collection '${collection}' has vectors of ${facts.dimensions} components, the input of ${dimensions}`,
      );
    return facts;
  }

  async #open(dimensions: number): Promise<void> {
    const { url, collection, connections } = this.#job;
    const onRefused = (row: Row, fault: string) => this.#bad.add(row, fault);
    this.#inserter = await Inserter.open({ url, collection, dimensions, connections, onRefused });
  }

  #take(row: Row | BadRow, dimensions: number): Promise<void> | undefined {
    this.#read = row.position + 1;
    if (this.#bad.areTooMany) return undefined;
    if (isBad(row)) this.#bad.add(row, row.fault);
    else if (this.#inserter !== undefined) return this.#inserter.add(row);
    else if (row.vector.length !== dimensions)
      this.#bad.add(row, `the vector has ${row.vector.length} components, not ${dimensions}`);
    else if (!row.vector.every(Number.isFinite))
      this.#bad.add(row, "the vector has a component that is not finite");
    return undefined;
  }

  get #done(): number {
    return Math.min(this.#inserter?.doneBelow ?? this.#read, this.#read);
  }

  #progress() {
    return { rows: this.#inserter?.inserted ?? this.#read, share: this.#job.share(this.#read) };
  }

  #save(): void {
    if (this.#inserter === undefined) return;
    const done = this.#done;
    this.#job.resume?.write(this.#input.marks?.below(done) ?? { position: done, text: undefined });
  }

  #say(line: string): void {
    if (this.#meter !== undefined) this.#meter.say(line);
    else process.stderr.write(`${line}\n`);
  }

  #conclude(seconds: number): number {
    const { collection, isDryRun, resume } = this.#job;
    const rows = this.#inserter?.inserted ?? (isDryRun ? this.#read - this.#job.skip - this.#bad.count : 0);
    const bad = this.#bad.count === 0 ? "" : `; ${counted(this.#bad.count, "bad row")}`;
    const rate = `in ${seconds.toFixed(1)} s (${count(Math.round(rows / seconds))}/s)`;
    const whole = isDryRun
      ? `${counted(rows, "row")} would go into ${collection}`
      : `imported ${counted(rows, "vector")} into ${collection} ${rate}`;
    console.log(whole + bad);
    if (this.#bad.areTooMany && !isDryRun)
      throw new TooManyBadRows(`stopped: more than ${counted(this.#job.maxErrors, "bad row")}${this.#goOn}`);
    if (this.#stop.signal.aborted) throw new Error(`stopped by a signal${this.#goOn}`);
    resume?.remove();
    return this.#bad.areTooMany ? exitCodes.failed : exitCodes.done;
  }

  get #goOn(): string {
    if (this.#job.isStore) return this.#job.resume === undefined ? "" : "; the same command continues";
    return `; the first ${counted(this.#done, "row")} of the input ${this.#done === 1 ? "is" : "are"} done (--skip ${this.#done})`;
  }
}

function dimensionsOf(page: Page): number | undefined {
  return page.find((row): row is Row => !isBad(row))?.vector.length;
}
