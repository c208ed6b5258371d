/**
 * A middleware for the Vercel AI SDK (`wrapLanguageModel`) over a semantic cache. The last message of the user is the
 * question. Model, settings and everything before that message are the scope, so a question counts as the same only in
 * the same conversation. Calls with tools, and messages that are not text, go to the model.
 */
import { createHash } from "node:crypto";
import type { LanguageModelMiddleware } from "ai";
import type { CacheCreateOptions, CacheSetOptions, SemanticCache } from "./semantic-cache.ts";

/** The field of the cache's scope. */
const scopeField = "call";

type Middleware = Required<
  Pick<LanguageModelMiddleware, "specificationVersion" | "wrapGenerate" | "wrapStream">
>;
type Call = Parameters<Middleware["wrapGenerate"]>[0]["params"];
type Model = Parameters<Middleware["wrapGenerate"]>[0]["model"];
type Generated = Awaited<ReturnType<Middleware["wrapGenerate"]>>;
type Streamed = Awaited<ReturnType<Middleware["wrapStream"]>>;
type StreamPart = Streamed["stream"] extends ReadableStream<infer P> ? P : never;

/** What is stored. */
interface Kept {
  readonly text: string;
  readonly finishReason: Generated["finishReason"];
  readonly usage: Generated["usage"];
}

export type CacheMiddlewareOptions = Pick<CacheSetOptions, "tags" | "ex" | "within"> & {
  /** Hears of errors of the cache; the model is asked then. */
  readonly onError?: (error: unknown) => void;
};

/** Creates the cache with the scope that the middleware needs. */
export function createForAiSdk(
  cache: SemanticCache,
  options: Omit<CacheCreateOptions, "scope">,
): Promise<void> {
  return cache.create({ ...options, scope: [scopeField] });
}

/**
 * @example
 * const middleware = semanticCacheMiddleware(cache, { ex: 3600 });
 * const model = wrapLanguageModel({ model: openai("gpt-5"), middleware });
 */
export function semanticCacheMiddleware(
  cache: SemanticCache,
  options: CacheMiddlewareOptions = {},
): LanguageModelMiddleware {
  const store = new KeptAnswers(cache, options);
  return {
    specificationVersion: "v3",
    async wrapGenerate({ doGenerate, params, model }) {
      const question = questionOf(params, model);
      const kept = question && (await store.find(question));
      if (kept) return { content: [{ type: "text", text: kept.text }], ...ends(kept), warnings: [] };
      const result = await doGenerate();
      if (question) await store.keep(question, keptOf(result));
      return result;
    },
    async wrapStream({ doStream, params, model }) {
      const question = questionOf(params, model);
      const kept = question && (await store.find(question));
      if (kept) return { stream: streamOf(kept) };
      const result = await doStream();
      if (!question) return result;
      return {
        ...result,
        stream: result.stream.pipeThrough(keeping((answer) => store.keep(question, answer))),
      };
    },
  };
}

interface Question {
  readonly text: string;
  readonly scope: Record<string, string>;
}

/** Undefined where the call is not for the cache. */
function questionOf(params: Call, { provider, modelId }: Model): Question | undefined {
  const { prompt, tools = [], abortSignal: _, ...settings } = params;
  const last = prompt.at(-1);
  if (tools.length > 0 || last?.role !== "user") return undefined;
  const texts = last.content.map((part) => (part.type === "text" ? part.text : undefined));
  if (texts.includes(undefined)) return undefined;
  const before = JSON.stringify([provider, modelId, prompt.slice(0, -1), settings]);
  const scope = { [scopeField]: createHash("sha256").update(before).digest("hex") };
  return { text: texts.join("\n"), scope };
}

class KeptAnswers {
  readonly #cache: SemanticCache;
  readonly #options: CacheMiddlewareOptions;

  constructor(cache: SemanticCache, options: CacheMiddlewareOptions) {
    this.#cache = cache;
    this.#options = options;
  }

  async find({ text, scope }: Question): Promise<Kept | undefined> {
    try {
      const answer = await this.#cache.get(text, { scope, within: this.#options.within });
      return answer && (JSON.parse(answer.value) as Kept);
    } catch (error) {
      this.#options.onError?.(error);
      return undefined;
    }
  }

  async keep({ text, scope }: Question, kept: Kept | undefined): Promise<void> {
    if (kept === undefined) return;
    const { tags, ex } = this.#options;
    try {
      await this.#cache.set(text, JSON.stringify(kept), { scope, tags, ex });
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}

/** Undefined where the model has answered with more than text. */
function keptOf({ content, finishReason, usage }: Generated): Kept | undefined {
  const texts = content.map((part) => (part.type === "text" ? part.text : undefined));
  return texts.includes(undefined) ? undefined : { text: texts.join(""), finishReason, usage };
}

const ends = ({ finishReason, usage }: Kept) => ({ finishReason, usage });

function streamOf(kept: Kept): ReadableStream<StreamPart> {
  const parts: StreamPart[] = [
    { type: "stream-start", warnings: [] },
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: kept.text },
    { type: "text-end", id: "1" },
    { type: "finish", ...ends(kept) },
  ];
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });
}

/** Parts of a stream that is nothing but text. */
const ofText = /^(stream-start|response-metadata|raw|text-(start|delta|end)|finish)$/;

/** Passes the stream on, and keeps its text when it has come to its end. */
function keeping(keep: (answer: Kept | undefined) => Promise<void>): TransformStream<StreamPart, StreamPart> {
  let text = "";
  let isText = true;
  return new TransformStream({
    async transform(part, controller) {
      controller.enqueue(part);
      isText &&= ofText.test(part.type);
      if (part.type === "text-delta") text += part.delta;
      if (part.type === "finish" && isText)
        await keep({ text, finishReason: part.finishReason, usage: part.usage });
    },
  });
}
