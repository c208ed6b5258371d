/**
 * A LangChain.js VectorStore over a collection of vstore. A document's metadata are the attributes of its key, beside
 * its text, so FILTER sees them; both together are at most 64 KiB of JSON.
 */
import { randomUUID } from "node:crypto";
import { Document, type DocumentInterface } from "@langchain/core/documents";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { maximalMarginalRelevance } from "@langchain/core/utils/math";
import { type MaxMarginalRelevanceSearchOptions, VectorStore } from "@langchain/core/vectorstores";
import type { CreateOptions } from "./commands.ts";
import type { Hit } from "./replies.ts";
import type { Vstore } from "./vstore.ts";

export { VstoreCache, type VstoreCacheOptions } from "./langchain-cache.ts";

/** The attribute that has a document's text. */
const TEXT = "page_content";
/** Documents of one MINSERT. */
const batchDocuments = 500;
const fetchedDefault = 20;

type Scalar = string | number | boolean;
/** What a metadata field must be: equal to a value, or as the operators say. */
export type Condition =
  | Scalar
  | { readonly $eq?: Scalar; readonly $ne?: Scalar; readonly $in?: readonly Scalar[] }
  | { readonly $gt?: number; readonly $gte?: number; readonly $lt?: number; readonly $lte?: number };
/** All conditions together, or a FILTER expression as docs/filters.md has it. */
export type VstoreFilter = string | Readonly<Record<string, Condition>>;

export interface VstoreVectorStoreOptions {
  readonly vstore: Vstore;
  readonly collection: string;
  /**
   * How the collection is created when it is not there; its dimension is that of the first vectors. Default: COSINE.
   */
  readonly create?: Omit<CreateOptions, "dim" | "nx">;
}

export class VstoreVectorStore extends VectorStore {
  declare FilterType: VstoreFilter;
  readonly #vstore: Vstore;
  readonly #collection: string;
  readonly #create: Omit<CreateOptions, "dim" | "nx">;
  #isCreated = false;

  constructor(embeddings: EmbeddingsInterface, options: VstoreVectorStoreOptions) {
    super(embeddings, { collection: options.collection });
    this.#vstore = options.vstore;
    this.#collection = options.collection;
    this.#create = options.create ?? {};
  }

  static override async fromTexts(
    texts: string[],
    metadatas: object[] | object,
    embeddings: EmbeddingsInterface,
    options: VstoreVectorStoreOptions,
  ): Promise<VstoreVectorStore> {
    const metadataOf = (i: number) => (Array.isArray(metadatas) ? metadatas[i] : metadatas);
    const documents = texts.map((pageContent, i) => new Document({ pageContent, metadata: metadataOf(i) }));
    return VstoreVectorStore.fromDocuments(documents, embeddings, options);
  }

  static override async fromDocuments(
    documents: DocumentInterface[],
    embeddings: EmbeddingsInterface,
    options: VstoreVectorStoreOptions,
  ): Promise<VstoreVectorStore> {
    const store = new VstoreVectorStore(embeddings, options);
    await store.addDocuments(documents);
    return store;
  }

  override _vectorstoreType(): string {
    return "vstore";
  }

  /** @returns the keys, in order. A document whose `ids` or own `id` names a key replaces what is there. */
  override async addDocuments(
    documents: DocumentInterface[],
    options?: { ids?: string[] },
  ): Promise<string[]> {
    const vectors = await this.embeddings.embedDocuments(documents.map(({ pageContent }) => pageContent));
    return this.addVectors(vectors, documents, options);
  }

  override async addVectors(
    vectors: number[][],
    documents: DocumentInterface[],
    options?: { ids?: string[] },
  ): Promise<string[]> {
    const keys = documents.map(({ id }, i) => options?.ids?.[i] ?? id ?? randomUUID());
    if (vectors[0] === undefined) return keys;
    await this.#ensureCollection(vectors[0].length);
    for (let start = 0; start < keys.length; start += batchDocuments) {
      const end = start + batchDocuments;
      const attributes = documents
        .slice(start, end)
        .map((each) => ({ ...each.metadata, [TEXT]: each.pageContent }));
      const blob = Float32Array.from(vectors.slice(start, end).flat());
      await this.#vstore.minsert(this.#collection, keys.slice(start, end), blob, { attributes });
    }
    return keys;
  }

  override async delete({ ids }: { readonly ids: string[] }): Promise<void> {
    if (ids.length > 0) await this.#vstore.del(this.#collection, ids);
  }

  /** @returns documents with their distances, nearest first: a smaller one is nearer */
  override async similaritySearchVectorWithScore(
    query: number[],
    k: number,
    filter?: this["FilterType"],
  ): Promise<[DocumentInterface, number][]> {
    const hits = await this.#search(query, k, filter);
    return hits.map((hit) => [documentOf(hit), hit.distance]);
  }

  override async maxMarginalRelevanceSearch(
    query: string,
    {
      k,
      fetchK = fetchedDefault,
      lambda = 0.5,
      filter,
    }: MaxMarginalRelevanceSearchOptions<this["FilterType"]>,
  ): Promise<DocumentInterface[]> {
    const embedded = await this.embeddings.embedQuery(query);
    const hits = await this.#search(embedded, Math.max(fetchK, k), filter);
    if (hits.length === 0) return [];
    const vectors = await this.#vstore.mget(
      this.#collection,
      hits.map(({ key }) => key),
    );
    const found = hits.flatMap((hit, i) => (vectors[i] ? [{ hit, vector: [...vectors[i]] }] : []));
    const chosen = maximalMarginalRelevance(
      embedded,
      found.map(({ vector }) => vector),
      lambda,
      k,
    );
    return chosen.map((i) => documentOf(found[i]!.hit));
  }

  #search(query: number[], count: number, filter?: VstoreFilter) {
    const expression = filter === undefined ? {} : { filter: expressionOf(filter) };
    return this.#vstore.search(this.#collection, query, { count, withAttrs: true, ...expression });
  }

  async #ensureCollection(dim: number): Promise<void> {
    if (this.#isCreated) return;
    await this.#vstore.create(this.#collection, { ...this.#create, dim, nx: true });
    this.#isCreated = true;
  }
}

function documentOf({ key, attributes }: Hit<Record<string, unknown>>): DocumentInterface {
  const { [TEXT]: pageContent = "", ...metadata } = attributes ?? {};
  return new Document({ id: key, pageContent: String(pageContent), metadata });
}

const operators: Readonly<Record<string, string>> = {
  $eq: "==",
  $ne: "!=",
  $in: "in",
  $gt: ">",
  $gte: ">=",
  $lt: "<",
  $lte: "<=",
};

/** @throws TypeError for a field or an operator that FILTER has no words for */
function expressionOf(filter: VstoreFilter): string {
  if (typeof filter === "string") return filter;
  return Object.entries(filter)
    .flatMap(([field, condition]) => comparisons(field, condition))
    .join(" and ");
}

function comparisons(field: string, condition: Condition): string[] {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(field))
    throw new TypeError(`a filter cannot name the field '${field}'`);
  const wanted = typeof condition === "object" ? condition : { $eq: condition };
  return Object.entries(wanted).map(([name, value]) => {
    const operator = operators[name];
    if (operator === undefined) throw new TypeError(`a filter has no operator '${name}'`);
    return `.${field} ${operator} ${JSON.stringify(value)}`;
  });
}
