/**
 * LangChain.js' cache of generations over a semantic cache. The model with its settings, which LangChain gives as one
 * key, is the scope, so that no model answers for another one.
 */
import { createHash } from "node:crypto";
import { BaseCache, deserializeStoredGeneration, serializeGeneration } from "@langchain/core/caches";
import type { Generation } from "@langchain/core/outputs";
import type { CacheCreateOptions, CacheSetOptions, SemanticCache } from "./semantic-cache.ts";

/** The field of the cache's scope. */
const scopeField = "llm";

export interface VstoreCacheOptions extends Pick<CacheSetOptions, "tags" | "ex" | "within"> {
  readonly cache: SemanticCache;
}

/**
 * @example
 * const cache = new SemanticCache(redis, "answers", { embed: (text) => embeddings.embedQuery(text) });
 * await VstoreCache.create(cache, { dim: 1536, within: 0.05 });
 * const model = new ChatOpenAI({ cache: new VstoreCache({ cache, ex: 3600 }) });
 */
export class VstoreCache extends BaseCache {
  readonly #options: VstoreCacheOptions;

  constructor(options: VstoreCacheOptions) {
    super();
    this.#options = options;
  }

  /** Creates the cache with the scope that this class needs. */
  static create(cache: SemanticCache, options: Omit<CacheCreateOptions, "scope">): Promise<void> {
    return cache.create({ ...options, scope: [scopeField] });
  }

  override async lookup(prompt: string, llmKey: string): Promise<Generation[] | null> {
    const { cache, within } = this.#options;
    const answer = await cache.get(prompt, { scope: scopeOf(llmKey), within });
    if (answer === undefined) return null;
    return (JSON.parse(answer.value) as Parameters<typeof deserializeStoredGeneration>[0][]).map(
      deserializeStoredGeneration,
    ) as Generation[];
  }

  override async update(prompt: string, llmKey: string, value: Generation[]): Promise<void> {
    const { cache, tags, ex } = this.#options;
    await cache.set(prompt, JSON.stringify(value.map(serializeGeneration)), {
      scope: scopeOf(llmKey),
      tags,
      ex,
    });
  }
}

/** The key has all settings of the model, and may be longer than a value of a scope. */
function scopeOf(llmKey: string): Record<string, string> {
  return { [scopeField]: createHash("sha256").update(llmKey).digest("hex") };
}
