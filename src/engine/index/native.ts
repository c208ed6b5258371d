/**
 * The preferred index: the native graph, on all cores, off the event loop's thread. Searches of one turn of the event
 * loop go to it together, which costs less than one by one.
 */
import { memoryBudget } from "../memory-budget.ts";
import type { CollectionOptions } from "../options.ts";
import { TimeSlice } from "../time-slice.ts";
import { type GraphSearchOptions, type GraphSearchResults, NativeGraph } from "./native-addon.ts";
import type {
  IndexHealth,
  Neighbour,
  Question,
  TakeFound,
  VectorIndex,
  VectorIndexKind,
  VectorSource,
} from "./vector-index.ts";

/** Searches of one call. The first is answered together with the last, so they must not be many. */
const BATCH_QUESTIONS_MAX = 16;
/** Slots linked by one call: some 10 ms on each core. */
const BATCH_SLOTS = 256;
/** Slots looked at between two looks at the clock. */
const SLOTS_PER_LOOK = 1_024;

export function nativeKind(options: CollectionOptions): VectorIndexKind {
  return {
    name: "native",
    quantization: options.quantization,
    batchSlots: BATCH_SLOTS,
    blocks: false,
    provesItself: true,
    create: (source) => NativeIndex.over(new NativeGraph(options), source),
    load: async (source, path) => NativeIndex.over(await NativeGraph.load(path, options), source),
  };
}

interface Asked {
  readonly question: Question;
  readonly answer: TakeFound;
  readonly fail: (error: unknown) => void;
}

class NativeIndex implements VectorIndex {
  #graph: NativeGraph;
  readonly #source: VectorSource;
  /** Segments that the graph knows. */
  #segments = 0;
  /** Takes the place of a damaged graph, once it knows who is alive. */
  #next: NativeGraph | undefined;
  /** Slots below it are in the graph as far as this one knows: none, once another graph has taken its place. */
  #addedMax = Number.POSITIVE_INFINITY;
  /** Asked in this turn of the event loop. */
  #asked: Asked[] = [];

  private constructor(graph: NativeGraph, source: VectorSource) {
    this.#graph = graph;
    this.#source = source;
    memoryBudget.holders.add(source.segments);
  }

  /** Of a graph in which no slot is alive. */
  static async over(graph: NativeGraph, source: VectorSource): Promise<NativeIndex> {
    await setAllLive(graph, source);
    return new NativeIndex(graph, source);
  }

  /** Those that no walk reaches are linked anew. */
  get unreached(): readonly number[] {
    return [];
  }

  get memoryBytes(): number {
    return this.#graph.bytes;
  }

  get fileBytes(): number {
    return this.#graph.bytes + this.#graph.mapped.bytes;
  }

  get mapped(): { readonly bytes: number; readonly resident: number } {
    return this.#graph.mapped;
  }

  born(from: number, to: number): void {
    this.#graph.setRangeLive(from, to);
    this.#next?.setRangeLive(from, to);
  }

  died(slot: number): void {
    this.#graph.kill(slot);
    this.#next?.kill(slot);
  }

  async add(from: number, to: number): Promise<void> {
    this.#followSegments();
    await this.#graph.add(from, to);
    if (Number.isFinite(this.#addedMax)) this.#addedMax = to;
  }

  search(question: Question): Promise<readonly Neighbour[]> {
    return new Promise((answer, fail) => {
      this.ask(question, (found, at) => answer(neighboursOf(found, at, question.k)), fail);
    });
  }

  ask(question: Question, answer: TakeFound, fail: (error: unknown) => void): void {
    if (this.#asked.length === 0) setImmediate(() => this.#ask());
    this.#asked.push({ question, answer, fail });
  }

  get health(): IndexHealth {
    return this.#graph.health;
  }

  mend(from: number, to: number): Promise<void> {
    return this.#graph.mend(from, to);
  }

  planOf(matches: number, ef: number): string {
    return this.#graph.planOf(matches, ef);
  }

  save(path: string): Promise<void> {
    return this.#graph.save(path, !this.#isOwned());
  }

  async prove(isStopped: () => boolean): Promise<boolean> {
    try {
      await this.#graph.prove(!this.#isOwned(), isStopped);
      return true;
    } catch {
      if (isStopped()) return true;
      await this.#beginAnew();
      return false;
    }
  }

  close(): void {
    memoryBudget.release(this);
    memoryBudget.holders.delete(this.#source.segments);
    this.#graph.close();
    this.#next?.close();
  }

  /** Whether rows may not be in memory when a search needs them. */
  #hasColdRows(): boolean {
    return memoryBudget.isBeyond(this.#source.segments.fileBytes);
  }

  /** Whether the graph may have memory of its own. */
  #isOwned(): boolean {
    return memoryBudget.claim(this, this.fileBytes);
  }

  /** An empty graph takes the place of a damaged one. */
  async #beginAnew(): Promise<void> {
    const next = new NativeGraph(this.#graph.options);
    this.#next = next;
    await setAllLive(next, this.#source);
    // Searches under way keep what they need of the damaged one.
    this.#graph = next;
    this.#next = undefined;
    this.#segments = 0;
    this.#addedMax = 0;
  }

  #followSegments(): void {
    const { all } = this.#source.segments;
    for (; this.#segments < all.length; this.#segments++) {
      const { shape, rows } = all[this.#segments]!;
      this.#graph.addSegment(shape.firstSlot, rows, this.#hasColdRows());
    }
  }

  #ask(): void {
    const asked = this.#asked.filter((each) => !this.#isLate(each));
    this.#asked = [];
    for (let from = 0; from < asked.length; ) {
      let to = from + 1;
      while (to < asked.length && to - from < BATCH_QUESTIONS_MAX && areAlike(asked[from]!, asked[to]!)) to++;
      void this.#askTogether(asked.slice(from, to), to === asked.length);
      from = to;
    }
  }

  /** Writes have come since the question was asked: it begins in the very tick in which they are looked at. */
  #isLate(asked: Asked): boolean {
    const late = asked.question.late();
    late?.then(() => {
      if (!this.#isLate(asked)) void this.#askTogether([asked], true);
    }, asked.fail);
    return late !== undefined;
  }

  async #askTogether(batch: readonly Asked[], together: boolean): Promise<void> {
    try {
      this.#followSegments();
      const { question } = batch.at(-1)!; // the watermark only rises, so the last one holds for all
      const found = await this.#graph.search(concatenate(batch), this.#optionsOf(question, together));
      for (const [at, { answer }] of batch.entries()) answer(found, at);
    } catch (error) {
      for (const { fail } of batch) fail(error);
    }
  }

  /** Reads the slots when the search begins, at the same moment as which of them are alive. */
  #optionsOf(question: Question, together: boolean): GraphSearchOptions {
    const { k, ef, within } = question;
    const exact = question.exact || this.#next !== undefined;
    const watermark = Math.min(question.watermark, this.#addedMax);
    const slots = this.#source.segments.length;
    const allowed = question.allowed(question.filter)?.bytes(slots);
    const coldRows = this.#hasColdRows();
    return { k, ef: Math.max(ef, k), exact, within, watermark, slots, coldRows, together, allowed };
  }
}

function areAlike({ question: a }: Asked, { question: b }: Asked): boolean {
  return (
    a.k === b.k &&
    a.ef === b.ef &&
    a.exact === b.exact &&
    a.within === b.within &&
    a.filter === b.filter &&
    a.allowed === b.allowed
  );
}

function concatenate(batch: readonly Asked[]): Float32Array {
  const first = batch[0]!.question.query;
  if (batch.length === 1) return first;
  const queries = new Float32Array(batch.length * first.length);
  for (const [at, { question }] of batch.entries()) queries.set(question.query, at * first.length);
  return queries;
}

function neighboursOf({ counts, slots, distances }: GraphSearchResults, at: number, k: number): Neighbour[] {
  const neighbours: Neighbour[] = [];
  const first = at * k;
  for (let i = first; i < first + counts[at]!; i++)
    neighbours.push({ slot: slots[i]!, distance: distances[i]! });
  return neighbours;
}

/** Tells the graph who is alive, in slices. */
async function setAllLive(graph: NativeGraph, { segments, live }: VectorSource): Promise<void> {
  const slice = new TimeSlice();
  for (let slot = 0; slot < segments.length; slot++) {
    if (slot % SLOTS_PER_LOOK === 0 && slice.spent) await slice.pause();
    if (live.has(slot)) graph.setLive(slot);
  }
}
