/** `import … from "vstore"`: the engine as a library. */

export type { Explanation } from "./engine/generation/matching.ts";
export {
  type ExplainOptions,
  type Key,
  type Likeness,
  MmapVectorStore,
  type SearchResult,
  type StoreInsertOptions as InsertOptions,
  type StoreSearchOptions as SearchOptions,
} from "./engine/library/mmap-vector-store.ts";
export type { CollectionOptions, Metric } from "./engine/options.ts";
export { DamagedFileError, type ErrorCode, errorCodes, VstoreError } from "./errors.ts";
