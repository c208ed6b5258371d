/** The interface of an index of a collection's vectors. Each implementation has a file beside this one. */

import type { Segments } from "../disk/segments.ts";
import type { Expression } from "../filter/expression.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import type { GraphSearchResults } from "./native-addon.ts";

/** The parts of its collection that an index reads. */
export interface VectorSource {
  readonly segments: Segments;
  /** Slots that are alive. */
  readonly live: Bitmap;
}

export interface Question {
  /** Shape (dimensions), finite, and not zero under COSINE. */
  readonly query: Float32Array;
  /** Results wanted. */
  readonly k: number;
  /** Candidates that the graph keeps, at least k are. */
  readonly ef: number;
  /** Look at every row instead of asking the graph. */
  readonly exact: boolean;
  /** Largest distance of a result. */
  readonly within: number;
  /** Slots below it are in the graph or dead; the rest is scanned. */
  readonly watermark: number;
  /** Must be true of the attributes of a result. */
  readonly filter: Expression | undefined;
  /**
   * The slots that a search with this filter may find that begins now; those that are born later may not. Undefined:
   * all may.
   */
  readonly allowed: (filter: Expression | undefined) => Bitmap | undefined;
  /** What the search has to wait for before it asks for `allowed`, which must not take long; mostly nothing. */
  readonly late: () => Promise<void> | undefined;
}

export interface Neighbour {
  readonly slot: number;
  /** As options.ts defines it for the metric. */
  readonly distance: number;
}

/** @param at which question of those this answer is for */
export type TakeFound = (found: GraphSearchResults, at: number) => void;

/** What an index has counted since it was made or loaded. */
export interface IndexHealth {
  /** Vectors that no walk through the graph reached when they were looked for. */
  readonly missed: number;
  /** Those of them that searches find now: linked anew, or looked at by every search. */
  readonly relinked: number;
  /** Whether the graph keeps vectors as differences from a centre that it has learnt. */
  readonly centred: boolean;
}

export interface VectorIndex {
  readonly health: IndexHealth;
  /** Slots that no walk reaches and every search looks at. They are not in the file of `save`. */
  readonly unreached: readonly number[];
  /** Bytes of memory, mapped files not included. */
  readonly memoryBytes: number;
  /** Bytes that are mapped from the saved index, and about how many of them are in memory. */
  readonly mapped: { readonly bytes: number; readonly resident: number };
  /** About how many bytes `save` would write. */
  readonly fileBytes: number;
  /** The slots of [from, to) have their vectors: searches that begin from now on find them. */
  born(from: number, to: number): void;
  /** Searches that begin from now on do not find the slot; those under way still may. */
  died(slot: number): void;
  /** Links the slots of [from, to) that are alive into the graph. */
  add(from: number, to: number): Promise<void>;
  /** Looks for the slots of [from, to) as searches would, and makes those reachable that no walk reaches. */
  mend(from: number, to: number): Promise<void>;
  /**
   * The nearest of the vectors that are alive as it begins, nearest first, the lower slot first where distances are
   * equal: k of them whenever k exist within the distance. It begins within one turn of the event loop.
   */
  search(question: Question): Promise<readonly Neighbour[]>;
  /** The same without an object for each neighbour, where the implementation can; neither function may throw. */
  readonly ask?: (question: Question, answer: TakeFound, fail: (error: unknown) => void) => void;
  /**
   * How a search looks for the nearest `ef` among so many matches: `compare` each of them, `hop` from match to match,
   * or `walk` through all nodes.
   */
  planOf(matches: number, ef: number): string;
  /**
   * Writes the graph to a new file, which the caller has checked for room. Nothing is added meanwhile; all else goes
   * on.
   */
  save(path: string): Promise<void>;
  /**
   * Reads the rest of the file that it was loaded from, before anything is added or saved; searches go on. Where the
   * file is damaged the index is empty afterwards, and until then searches look at all vectors.
   *
   * @param isStopped ends it early
   * @returns whether the file was whole, as far as it was read
   */
  prove(isStopped: () => boolean): Promise<boolean>;
  /** Gives the memory back. Nothing is under way then. */
  close(): void;
}

/** How an implementation is made, empty or from a file that its `save` wrote. */
export interface VectorIndexKind {
  /** As named in the manifest and in VSTORE.INFO. */
  readonly name: string;
  /** How the graph keeps vectors. */
  readonly quantization: string;
  /** Slots worth one call of `add`: the watermark rises, and an index can be saved, in between only. */
  readonly batchSlots: number;
  /** Whether it works on the event loop's thread, so that background work should give way to requests. */
  readonly blocks: boolean;
  /** Whether its file has checksums of its own, so that `load` and `prove` find what is damaged. */
  readonly provesItself: boolean;
  create(source: VectorSource): Promise<VectorIndex>;
  /**
   * @param unreached of the index that was saved
   * @throws when the file is not an index of these options
   */
  load(source: VectorSource, path: string, unreached: readonly number[]): Promise<VectorIndex>;
}
