/** What a collection needs of an approximate nearest-neighbour index; one implementation per file beside this one. */

/** Where an index finds the vectors it is told to add. */
export interface VectorSource {
  /** Shape (dimensions). */
  row(slot: number): Float32Array;
  /** False when the slot has died since it was named. */
  has(slot: number): boolean;
}

export interface VectorIndex {
  /** Nodes, removed ones included. */
  readonly length: number;
  /** Nodes that a search may return. */
  readonly live: number;
  /** About how many bytes `save` would write. */
  readonly fileBytes: number;
  /** Adds the slots that are still alive; long work is cut into slices of the event loop's time. */
  add(slots: readonly number[]): Promise<void>;
  /**
   * About the k nearest live nodes, in no particular order.
   *
   * @param ef candidates kept, at least k are
   */
  search(query: Float32Array, k: number, ef: number): Promise<readonly number[]>;
  /** The slot is never returned again. Unknown slots are ignored. */
  remove(slot: number): void;
  /** Writes the index to a new file, which the caller has checked for room. Nothing is added meanwhile; all else goes on. */
  save(path: string): Promise<void>;
}

/** How an implementation is made, empty or from a file that its `save` wrote. */
export interface VectorIndexKind {
  /** As named in the manifest and in VSTORE.INFO. */
  readonly name: string;
  create(source: VectorSource): VectorIndex;
  /** @throws when the file is not an index of these options */
  load(source: VectorSource, path: string): Promise<VectorIndex>;
}
