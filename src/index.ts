/** What `import … from "vstore"` gives: the engine as a library. */

export type { InsertOptions } from "./engine/collection.ts";
export type { SearchOptions } from "./engine/index/searcher.ts";
export { type Key, MmapVectorStore, type SearchResult } from "./engine/mmap-vector-store.ts";
export type { CollectionOptions, Metric } from "./engine/options.ts";
export { DamagedFileError, type ErrorCode, errorCodes, VstoreError } from "./errors.ts";
