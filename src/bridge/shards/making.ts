/**
 * CREATE with SHARDS, and DROP of such a collection. Both concern other nodes, and this one's loop must not wait for
 * them: a part may be on this very node. So the request is taken out, and what is to be done at home follows as an
 * entry of the control stream once the parts are there, or gone:
 *
 *   CREATE docs … SHARDS 3 → CREATE of each part → the same CREATE again, which makes `docs` itself → the answer
 *   DROP docs              → DROP of each part   → the same DROP again, which drops `docs` itself   → the answer
 *
 * The request stays in the control stream until it is answered. So the next session finds one that was cut short, and
 * does it anew: a CREATE with the same parts (unfinished.ts), a DROP of those that are left. Only the session that has
 * appended what follows at home applies it.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { create } from "../../commands/collections/create.ts";
import type { Outcome } from "../../commands/execute.ts";
import { parseArguments } from "../../commands/grammar/arguments.ts";
import { OK } from "../../commands/wire/reply.ts";
import { encodeReply } from "../../commands/wire/resp3.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { compareIds } from "../../engine/log-id.ts";
import { VstoreError } from "../../errors.ts";
import { controlStream, nodeTag, replyPrefix } from "../redis/keys.ts";
import { type Answers, refusal } from "../requests/answers.ts";
import type { Request } from "../requests/request.ts";
import type { Word } from "./nodes/connection.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { isPartOf, placeParts } from "./placement.ts";
import { isMissing, type Plan, type Unfinished } from "./unfinished.ts";

/** CREATE and DROP of collections with parts that are under way. */
const underWayMax = 16;
/** The streams for the answers to what follows at home. */
const followUpPattern = /^vstore:reply:\{\d+\}:parts:[0-9a-f]{32}$/;

/** What follows at home. */
interface FollowUp {
  readonly parts: readonly string[];
  /** Called when it is about to be applied, which nothing stops any more. */
  readonly begin: () => void;
  readonly done: (outcome: Outcome) => void;
}

export class Making {
  readonly #catalog: Catalog;
  readonly #nodes: Nodes;
  readonly #writer: Redis;
  readonly #answers: Answers;
  readonly #unfinished: Unfinished;
  /** By the stream for the answer that the entry names, which only this session knows. */
  readonly #followUps = new Map<string, FollowUp>();
  /** Those that were found before this session serves: a part may be on this node. */
  #found: (() => void)[] = [];
  #underWay = 0;

  constructor(catalog: Catalog, nodes: Nodes, writer: Redis, answers: Answers, unfinished: Unfinished) {
    this.#catalog = catalog;
    this.#nodes = nodes;
    this.#writer = writer;
    this.#answers = answers;
    this.#unfinished = unfinished;
  }

  /**
   * Takes a write of the control stream over, if it concerns parts.
   *
   * @param replays whether it was sent to an earlier session
   */
  take(request: Request, replays: boolean): boolean {
    const followUp = this.#followUpOf(request);
    followUp?.begin();
    if (followUp !== undefined) return false;
    if (isFollowUp(request)) {
      this.#answers.toControlWrite(request, undefined);
      return true;
    }
    const work = request.fault === undefined ? this.#workOf(request) : undefined;
    if (work === undefined) return false;
    if (this.#underWay >= underWayMax) {
      this.#answers.toControlWrite(request, refusal(tooMany()));
      return true;
    }
    this.#underWay++;
    if (replays) this.#found.push(() => void this.#do(request, work));
    else void this.#do(request, work);
    return true;
  }

  /** Must be called once the session serves. */
  beginFound(): void {
    for (const begin of this.#found.splice(0)) begin();
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

  #workOf(request: Request): (() => Promise<Outcome>) | undefined {
    const { name, collection, id } = request;
    const home = this.#catalog.find(collection);
    const parts = home?.options.shards;
    // A request of an earlier session may be older than the collection that is there now.
    if (name === "DROP" && parts !== undefined && compareIds(home!.createdId, id) < 0)
      return () => this.#dropAll(request, parts);
    if (name !== "CREATE") return undefined;
    if (parts?.some((part) => isPartOf(part, collection, id)))
      return async () => ({ bytes: encodeReply(OK) });
    const count = this.#catalog.has(collection) ? undefined : shardsOf(request);
    return count === undefined ? undefined : () => this.#createAll(request, count);
  }

  async #do(request: Request, work: () => Promise<Outcome>): Promise<void> {
    try {
      this.#answers.toControlWrite(request, await work());
    } catch (error) {
      const refused = error instanceof VstoreError ? error : new VstoreError("ERR", (error as Error).message);
      this.#answers.toControlWrite(request, refusal(refused));
    } finally {
      this.#underWay--;
    }
  }

  async #createAll(request: Request, count: number): Promise<Outcome> {
    const { id, collection } = request;
    const place = async () => placeParts(collection, id, count, await this.#nodes.look());
    const plan = await this.#unfinished.begin(id, collection, place);
    try {
      return await this.#createThose(request, plan);
    } finally {
      await this.#unfinished.end(id, plan);
    }
  }

  async #createThose(request: Request, { parts, isGivenUp }: Plan): Promise<Outcome> {
    if (isGivenUp) throw cutShort();
    const words = partWords(request);
    const made = await Promise.allSettled(parts.map((part) => this.#nodes.ask(part, "CREATE", words, true)));
    for (const each of made) if (each.status === "rejected") throw each.reason;
    return await this.#atHome(request, parts);
  }

  async #dropAll(request: Request, parts: readonly string[]): Promise<Outcome> {
    const drop = (part: string) =>
      this.#nodes.ask(part, "DROP", [], true).catch((error: VstoreError) => {
        if (!isMissing(part, error)) throw error;
      });
    await Promise.all(parts.map(drop));
    return await this.#atHome(request, parts);
  }

  /** Has the same request applied to the collection itself. */
  async #atHome({ name, args }: Request, parts: readonly string[]): Promise<Outcome> {
    const reply = `${replyPrefix}{${nodeTag}}:parts:${randomBytes(16).toString("hex")}`;
    let late: NodeJS.Timeout | undefined;
    try {
      const outcome = new Promise<Outcome>((done, fail) => {
        late = setTimeout(() => fail(notYet()), this.#nodes.timeoutMs);
        this.#followUps.set(reply, { parts, begin: () => clearTimeout(late), done });
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

/** Of whatever session. */
function isFollowUp({ waiter }: Request): boolean {
  return waiter.kind === "stream" && followUpPattern.test(waiter.key.toString("latin1"));
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

/** The arguments of the CREATE of a part. An earlier session may have made it. */
function partWords({ args }: Request): Word[] {
  const { dimensions, options } = parseArguments(create.args, args);
  const { metric, M, efConstruction, ef, quantization } = options;
  const words: Word[] = ["DIM", dimensions, "NX"];
  if (metric !== undefined) words.push("METRIC", metric);
  if (M !== undefined) words.push("M", M);
  if (efConstruction !== undefined) words.push("EF_CONSTRUCTION", efConstruction);
  if (ef !== undefined) words.push("EF", ef);
  if (quantization !== undefined) words.push("QUANT", quantization);
  return words;
}

function cutShort(): VstoreError {
  return new VstoreError("TRYAGAIN", "the CREATE was cut short, and its parts are dropped; send it again");
}

function tooMany(): VstoreError {
  return new VstoreError(
    "TRYAGAIN",
    `${underWayMax} CREATE and DROP of collections with SHARDS are under way`,
  );
}

function notYet(): VstoreError {
  return new VstoreError("TRYAGAIN", "the parts were in time, and the node itself was not; send it again");
}
