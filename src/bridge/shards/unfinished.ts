/**
 * Parts of collections that are not made yet. They stand in a hash of this node's Redis before the first of them is
 * made, by the id of their CREATE in the control stream. So a session that finds the CREATE again goes on with the very
 * same parts, and parts that no collection will have are dropped, by this session or a later one, however long their
 * nodes are away. Only the session that leads can change the hash: the module closes the connection of an earlier one.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { unfinishedKey } from "../redis/keys.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { isPartOf } from "./placement.ts";

/** CREATEs whose parts could not be dropped yet; further ones are refused. */
const unfinishedMax = 256;
/** How often to look for parts that are to be dropped, and of how many CREATEs at a time. */
const sweepMs = 1_000;
const sweptMax = 16;
/**
 * How often a part must be found missing. A node that stood still may have a CREATE that came before the first DROP and
 * run it after that one.
 */
const missingMin = 2;

export interface Plan {
  readonly collection: string;
  readonly parts: readonly string[];
  /** Its CREATE was refused: nothing may use the parts any more. */
  readonly isGivenUp?: boolean;
}

export class Unfinished {
  readonly #redis: Redis;
  readonly #reads: Redis;
  readonly #catalog: Catalog;
  readonly #nodes: Nodes;
  readonly #onForeign: (what: string) => void;
  /** Those that a CREATE of this session is at. */
  readonly #underWay = new Set<string>();
  /** How often all parts of each plan were found missing. */
  readonly #missing = new Map<string, number>();
  #sweptAt = performance.now();
  #turn = 0;

  /** @param onForeign called with what is wrong about an entry that is none of vstore's */
  constructor(redis: Redis, reads: Redis, catalog: Catalog, nodes: Nodes, onForeign: (what: string) => void) {
    this.#redis = redis;
    this.#reads = reads;
    this.#catalog = catalog;
    this.#nodes = nodes;
    this.#onForeign = onForeign;
  }

  /** The plan that this CREATE began with; a new one where it begins now. @param place names the parts */
  async begin(id: string, collection: string, place: () => Promise<readonly string[]>): Promise<Plan> {
    this.#underWay.add(id);
    try {
      const known = await this.#reads.hget(unfinishedKey, id);
      const begun = known === null ? undefined : planOf(id, known);
      if (begun?.collection === collection) return begun;
      if ((await this.#reads.hlen(unfinishedKey)) >= unfinishedMax) throw tooMany();
      const plan: Plan = { collection, parts: await place() };
      await this.#redis.hset(unfinishedKey, id, JSON.stringify(plan));
      return plan;
    } catch (error) {
      this.#underWay.delete(id);
      throw error;
    }
  }

  /** Keeps the parts if the collection has them, and drops them otherwise. */
  async end(id: string, plan: Plan): Promise<void> {
    try {
      await this.#finish(id, plan);
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** Does what is left of earlier CREATEs, once a second. Calls between are cheap. */
  async sweep(): Promise<void> {
    if (performance.now() - this.#sweptAt < sweepMs) return;
    this.#sweptAt = Number.POSITIVE_INFINITY;
    try {
      const plans = Object.entries(await this.#reads.hgetall(unfinishedKey));
      const left = plans.filter(([id]) => !this.#underWay.has(id));
      const turns = Math.ceil(left.length / sweptMax);
      const first = (this.#turn++ % Math.max(1, turns)) * sweptMax;
      const now = left.slice(first, first + sweptMax);
      await Promise.all(now.map(([id, text]) => this.#finishFound(id, text)));
    } finally {
      this.#sweptAt = performance.now();
    }
  }

  /** One that is none of vstore's is taken away, and nothing that it names is dropped. */
  async #finishFound(id: string, text: string): Promise<void> {
    const plan = planOf(id, text);
    if (plan !== undefined) return this.#finish(id, plan);
    this.#onForeign(
      `${unfinishedKey} has an entry '${id}' that names no parts of a CREATE of that id; it is ignored`,
    );
    await this.#redis.hdel(unfinishedKey, id);
  }

  async #finish(id: string, plan: Plan): Promise<void> {
    const home = this.#catalog.find(plan.collection);
    if (home === undefined && this.#catalog.has(plan.collection)) return; // its files are damaged, and may name the parts
    if (home?.options.shards?.[0] === plan.parts[0]) {
      await this.#redis.hdel(unfinishedKey, id);
      return;
    }
    // First it is written that no session may use the parts, and then they are dropped.
    if (!plan.isGivenUp)
      await this.#redis.hset(unfinishedKey, id, JSON.stringify({ ...plan, isGivenUp: true }));
    const gone = await Promise.all(plan.parts.map((part) => this.#isGone(part)));
    if (gone.includes(false)) return;
    const missing = (this.#missing.get(id) ?? 0) + 1;
    this.#missing.set(id, missing);
    if (missing < missingMin) return;
    this.#missing.delete(id);
    await this.#redis.hdel(unfinishedKey, id);
  }

  #isGone(part: string): Promise<boolean> {
    const dropped = this.#nodes.ask(part, "DROP", [], true);
    return dropped.then(
      () => true,
      (error: VstoreError) => isMissing(part, error),
    );
  }
}

/** Whether the node answered that it does not have the part. */
export function isMissing(part: string, { message }: Error): boolean {
  const place = `part '${part}' on `;
  return message.startsWith(place) && /: NOCOLLECTION /.test(message.slice(place.length));
}

/** Undefined unless all that it names are parts of that CREATE: others who write the key could name any collection. */
function planOf(id: string, text: string): Plan | undefined {
  const plan = parsed(text);
  if (typeof plan !== "object" || plan === null) return undefined;
  const { collection, parts, isGivenUp } = plan as Record<string, unknown>;
  if (typeof collection !== "string" || !Array.isArray(parts)) return undefined;
  if (parts.length < limits.shardsMin || parts.length > limits.shardsMax) return undefined;
  if (!parts.every((part) => typeof part === "string" && isPartOf(part, collection, id))) return undefined;
  return { collection, parts, isGivenUp: isGivenUp === true };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function tooMany(): VstoreError {
  const what = `the parts of ${unfinishedMax} CREATEs that failed are still to be dropped: nodes do not answer`;
  return new VstoreError("TRYAGAIN", what);
}
