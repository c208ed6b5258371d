/**
 * Every limit a user can run into, by name and unit. Both sides of the wire read them from here: the
 * argument schemas of src/commands, the engine's own assertions, and the generated redis/commands/commands.h.
 */
export const limits = {
  /** Components of one vector. */
  dimensionsMin: 1,
  dimensionsMax: 16_384,
  /** Bytes of one key. */
  keyBytesMin: 1,
  keyBytesMax: 1_024,
  /** Bytes of one collection name: each may take three in a directory name, which ends at 255. */
  collectionNameBytesMax: 80,
  /** UTF-8 bytes of one key's attributes, a JSON object. */
  attributesBytesMax: 65_536,
  /** How far the time of a request may be ahead of the sidecar's clock. */
  clockAheadMsMax: 3_600_000,
  /** How long a read waits until the token of its ASOF is reached; less than the default of vstore.timeout. */
  asOfWaitMsMax: 2_000,
  /** Time that a key may be given to live: 31,000 years, so that deadlines remain whole numbers. */
  ttlSecondsMax: 1_000_000_000_000,
  ttlMsMax: 1_000_000_000_000_000,
  /** Results of one SEARCH. */
  countMin: 1,
  countMax: 10_000,
  countDefault: 10,
  /** Results of one SEARCH with DISTINCT, and of them for one value. */
  distinctCountMax: 1_000,
  /** Queries of one MSEARCH, and results and candidates (EF) of all of them together. */
  queriesMax: 1_024,
  queriesResultsMax: 100_000,
  queriesCandidatesMax: 1_000_000,
  /**
   * Comparisons of components of one MSEARCH whose queries are compared with rows one by one, a few seconds of a core;
   * and rows that its queries look at again because of DISTINCT. A single query may take more.
   */
  queriesComponentsMax: 20_000_000_000,
  queriesRowsMax: 5_000_000,
  /** Keys that one SEARCH takes the mean of. */
  meanKeysMax: 256,
  /** Keys that one DEL with FILTER deletes. */
  deleteMatchingMax: 10_000,
  /** Keys that one RANDMEMBER returns. */
  randomKeysMax: 10_000,
  /** Bytes of the values that one SEARCH WITHVALUES returns, and fields of a hash that it names. */
  valuesBytesMax: 64 * 1024 * 1024,
  fieldsMax: 256,
  /**
   * Bytes of one FILTER expression, its operands and operators, how deep they nest, elements of one tuple in it, and
   * how often it looks into the text or the array of a field with `in`.
   */
  filterBytesMax: 65_536,
  filterNodesMax: 4_096,
  filterDepthMax: 256,
  filterElementsMax: 16_384,
  filterInFieldsMax: 128,
  /**
   * The limits of the columns of attributes of one collection: fields, how deep those lie in objects, distinct values
   * of one field (a code has two bytes, and two codes mean nothing and not kept), characters of one value, and bytes of
   * all values' text. A filter reads what is beyond them from the JSON.
   */
  columnFieldsMax: 64,
  columnDepthMax: 8,
  columnValuesMax: 65_534,
  columnValueLengthMax: 256,
  columnTextBytesMax: 32 * 1024 * 1024,
  /** Fields of a hash that WITHVALUES returns whole; larger ones need FIELDS. */
  valueHashFieldsMax: 10_000,
  /** Candidates an HNSW search keeps (ef), and the collection's default for it. */
  efMin: 1,
  efMax: 10_000,
  efDefault: 100,
  /** Candidates kept while a vector is linked into the graph. */
  efConstructionMin: 4,
  efConstructionMax: 4_096,
  efConstructionDefault: 200,
  /** Threads that search, and threads that build. */
  threadsMax: 1_024,
  /** Links per node and layer of the HNSW graph. */
  mMin: 4,
  mMax: 128,
  mDefault: 16,
  /** Bytes of all arguments of one command together, and their number. */
  payloadBytesMax: 64 * 1024 * 1024,
  argumentsMax: 65_536,
  /** Keys of one DEL, EXISTS, MGET or MINSERT. */
  keysMax: 10_000,
  /** Bytes of one answer, the values of WITHVALUES not counted. */
  answerBytesMax: 64 * 1024 * 1024,
  /** Collections of one data directory. */
  collectionsMax: 1_000,
  /** Keys that one SCAN call looks at, and bytes of keys after which it ends before COUNT. */
  scanCountMin: 1,
  scanCountMax: 100_000,
  scanCountDefault: 10,
  scanBytesMax: 16 * 1024 * 1024,
  /** Bytes of a pattern, and comparisons with bytes of keys that one call may take: then it ends before COUNT. */
  patternBytesMax: 1_024,
  patternStepsMax: 200_000_000,
  /** Bytes of the prefix of the Redis keys that a collection follows, and of one field of their hashes. */
  followPrefixBytesMax: 256,
  followFieldBytesMax: 256,
  /** Fields of a followed hash that become attributes. */
  followAttributesMax: 64,
  /**
   * Of a cache: bytes of one value, of a prompt and of an id that a client gives, fields of a scope and bytes of each
   * value of it, tags of an entry and bytes of each, and entries that one CACHE.DEL with TAG or SCOPE deletes.
   */
  cacheValueBytesMax: 4 * 1024 * 1024,
  cachePromptBytesMax: 1024 * 1024,
  cacheIdBytesMax: 512,
  cacheScopeFieldsMax: 8,
  cacheScopeValueBytesMax: 256,
  cacheTagsMax: 16,
  cacheTagBytesMax: 128,
  cacheDeletedMax: 2_500,
  /** MAXBYTES of a cache. */
  cacheBytesMin: 1024 * 1024,
  cacheBytesMax: 2 ** 50,
  /** Parts of one collection on a cluster (SHARDS). */
  shardsMin: 1,
  shardsMax: 64,
  /** Results that all parts together may be asked for by one search: COUNT and OFFSET, times the parts. */
  shardedResultsMax: 100_000,
  /** Bytes of the vectors of one MINSERT of such a collection: they are copied for their parts in one turn. */
  shardedBlobBytesMax: 16 * 1024 * 1024,
  /** Slots of one collection (a slot number is an unsigned 32-bit integer; the last one means "none"). */
  slotsMax: 0xffff_fffe,
} as const;
