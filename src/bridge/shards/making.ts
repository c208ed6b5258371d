/**
 * CREATE with SHARDS, and DROP of such a collection. Both concern other nodes, and this one's loop must not wait for
 * them: a part may be on this very node. So the request is taken out, and what is to be done at home follows as an
 * entry of the control stream once the parts are there, or gone:
 *
 *   CREATE docs … SHARDS 3 → CREATE of each part → the same CREATE again, which makes `docs` itself → the answer
 *   DROP docs              → DROP of each part   → the same DROP again, which drops `docs` itself   → the answer
 *
 * So a collection whose CREATE was cut short does not exist, and one whose DROP was cut short can be dropped again.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { create } from "../../commands/collections/create.ts";
import type { Outcome } from "../../commands/execute.ts";
import { parseArguments } from "../../commands/grammar/arguments.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { VstoreError } from "../../errors.ts";
import { controlStream, nodeTag, replyPrefix } from "../redis/keys.ts";
import { type Answers, refusal } from "../requests/answers.ts";
import type { Request } from "../requests/request.ts";
import type { Word } from "./nodes/connection.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { placeParts } from "./placement.ts";

/** CREATE and DROP of collections with parts that are under way. */
const underWayMax = 16;

/** What follows at home. */
interface FollowUp {
  readonly parts: readonly string[];
  readonly done: (outcome: Outcome) => void;
}

export class Making {
  readonly #catalog: Catalog;
  readonly #nodes: Nodes;
  readonly #writer: Redis;
  readonly #answers: Answers;
  /** By the stream for the answer that the entry names, which only this session knows. */
  readonly #followUps = new Map<string, FollowUp>();
  #underWay = 0;

  constructor(catalog: Catalog, nodes: Nodes, writer: Redis, answers: Answers) {
    this.#catalog = catalog;
    this.#nodes = nodes;
    this.#writer = writer;
    this.#answers = answers;
  }

  /**
   * Takes a write of the control stream over, if it concerns parts.
   *
   * @param replays whether it was sent to an earlier session
   */
  take(request: Request, replays: boolean): boolean {
    if (this.#followUpOf(request) !== undefined) return false;
    const work = request.fault === undefined ? this.#workOf(request) : undefined;
    if (work === undefined) return false;
    const error = replays ? cutShort() : this.#underWay >= underWayMax ? tooMany() : undefined;
    if (error !== undefined) this.#answers.toControlWrite(request, refusal(error));
    else void this.#do(request, work);
    return true;
  }

  /** The parts that a CREATE has made, where it is one that follows. */
  partsOf(request: Request): readonly string[] | undefined {
    return this.#followUpOf(request)?.parts;
  }

  /** Must be called when a write of the control stream was applied. */
  heard(request: Request, outcome: Outcome | undefined): void {
    if (outcome !== undefined) this.#followUpOf(request)?.done(outcome);
  }

  #followUpOf({ waiter }: Request): FollowUp | undefined {
    return waiter.kind === "stream" ? this.#followUps.get(waiter.key.toString("latin1")) : undefined;
  }

  #workOf(request: Request): (() => Promise<readonly string[]>) | undefined {
    const home = this.#catalog.find(request.collection);
    if (request.name === "DROP" && home?.options.shards !== undefined) {
      const parts = home.options.shards;
      return () => this.#dropAll(parts);
    }
    const count =
      request.name === "CREATE" && !this.#catalog.has(request.collection) ? shardsOf(request) : undefined;
    return count === undefined ? undefined : () => this.#createAll(request, count);
  }

  async #do(request: Request, work: () => Promise<readonly string[]>): Promise<void> {
    this.#underWay++;
    try {
      const parts = await work();
      this.#answers.toControlWrite(request, await this.#atHome(request, parts));
    } catch (error) {
      const refused = error instanceof VstoreError ? error : new VstoreError("ERR", (error as Error).message);
      this.#answers.toControlWrite(request, refusal(refused));
    } finally {
      this.#underWay--;
    }
  }

  async #createAll(request: Request, count: number): Promise<readonly string[]> {
    const parts = placeParts(request.collection, count, await this.#nodes.look());
    const words = partWords(request);
    const made = await Promise.allSettled(parts.map((part) => this.#nodes.ask(part, "CREATE", words, true)));
    const failed = made.find((each) => each.status === "rejected");
    if (failed === undefined) return parts;
    // What was made has no use; what is not reached now stays as an empty collection.
    const others = parts.filter((_, i) => made[i]!.status === "fulfilled");
    await Promise.allSettled(others.map((part) => this.#nodes.ask(part, "DROP", [], true)));
    throw failed.reason;
  }

  async #dropAll(parts: readonly string[]): Promise<readonly string[]> {
    const isGone = (error: VstoreError) => {
      if (!/\bNOCOLLECTION\b/.test(error.message)) throw error;
    };
    await Promise.all(parts.map((part) => this.#nodes.ask(part, "DROP", [], true).catch(isGone)));
    return parts;
  }

  /** Has the same request applied to the collection itself. */
  async #atHome({ name, args }: Request, parts: readonly string[]): Promise<Outcome> {
    const reply = `${replyPrefix}{${nodeTag}}:${randomBytes(16).toString("hex")}`;
    let late: NodeJS.Timeout | undefined;
    try {
      const outcome = new Promise<Outcome>((done, fail) => {
        this.#followUps.set(reply, { parts, done });
        late = setTimeout(() => fail(notYet()), this.#nodes.timeoutMs);
      });
      const fields = args.flatMap((arg, i) => [String(i), arg]);
      await this.#writer.xadd(controlStream, "*", "cmd", name, "reply", reply, ...fields);
      return await outcome;
    } finally {
      clearTimeout(late);
      this.#followUps.delete(reply);
    }
  }
}

/** What it says is checked where it is applied. */
function shardsOf({ args }: Request): number | undefined {
  try {
    const { options } = parseArguments(create.args, args);
    return options.follow === undefined ? options.shards : undefined;
  } catch {
    return undefined;
  }
}

/** The arguments of the CREATE of a part. */
function partWords({ args }: Request): Word[] {
  const { dimensions, options } = parseArguments(create.args, args);
  const { metric, M, efConstruction, ef, quantization } = options;
  const words: Word[] = ["DIM", dimensions];
  if (metric !== undefined) words.push("METRIC", metric);
  if (M !== undefined) words.push("M", M);
  if (efConstruction !== undefined) words.push("EF_CONSTRUCTION", efConstruction);
  if (ef !== undefined) words.push("EF", ef);
  if (quantization !== undefined) words.push("QUANT", quantization);
  return words;
}

function cutShort(): VstoreError {
  return new VstoreError("TRYAGAIN", "the sidecar that had this request has gone; send it again");
}

function tooMany(): VstoreError {
  return new VstoreError(
    "TRYAGAIN",
    `${underWayMax} CREATE and DROP of collections with SHARDS are under way`,
  );
}

function notYet(): VstoreError {
  return new VstoreError(
    "TRYAGAIN",
    "the parts are ready, and the collection itself was not in time; send it again",
  );
}
