/** `import … from "vstore"`: the engine as a library. */

export {
  type Key,
  MmapVectorStore,
  type SearchResult,
  type StoreInsertOptions as InsertOptions,
  type StoreSearchOptions as SearchOptions,
} from "./engine/mmap-vector-store.ts";
export type { CollectionOptions, Metric } from "./engine/options.ts";
export { DamagedFileError, type ErrorCode, errorCodes, VstoreError } from "./errors.ts";
