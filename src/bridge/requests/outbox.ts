/**
 * Gathers what the sidecar sends to Redis in one turn of the event loop, and sends it in one write: answers to the
 * module, to stream clients and to the errors streams, and deletions of entries.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Redis } from "ioredis";
import { LimitedLog, type Logger } from "../../log.ts";
import { removedFunction } from "../logs/removals.ts";
import { encodeCommand } from "../redis/encode-command.ts";
import { logsKey, syncedKey } from "../redis/keys.ts";
import { PiecewiseCommand } from "../redis/piecewise-command.ts";
import { evalWords } from "../redis/script.ts";
import type { Request } from "./request.ts";
import type { XreadConnection } from "./xread/connection.ts";

/** Payload of one VSTORE.REPLY; a single larger answer travels alone. */
const replyCommandBytesMax = 8 * 1024 * 1024;
/** Payload that goes to the socket in one turn of the event loop: it is copied there. */
const turnBytesMax = 16 * 1024 * 1024;
/** An answer of this size goes to the socket as it is; smaller ones are copied into one write. */
const uncopiedBytesMin = 64 * 1024;
/** Answers of one VSTORE.REPLY. */
const replyCommandAnswersMax = 4_096;
/** Words of other commands that go to the socket in one turn: ioredis encodes each by itself. */
const turnWordsMax = 1_000;
/** Answers that Redis has not confirmed yet; above it the loop waits before it takes more requests. */
const unconfirmedBytesMax = 64 * 1024 * 1024;
/** Values that one command deletes: about a millisecond of Redis. */
const releasedMax = 500;
const replyStreamLengthMax = 1_024;
const replyStreamMs = 60_000;
export const errorsStreamLengthMax = 1_000;
/** A week after the last error. */
const errorsStreamMs = 7 * 24 * 3_600_000;

/** One script: XADD fails on a key that is no stream, which then gets no expiry either. */
const replyScript = `
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'req', ARGV[3], ARGV[4], ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const errorsScript = `
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const withdrawScript = `${removedFunction}
return removed(KEYS[2], KEYS[1], redis.call('XDEL', KEYS[1], ARGV[1]))`;

const replyCommand = "VSTORE.REPLY";
const tellCommand = "VSTORE.TELL";

type Argument = string | Buffer | number;

export class Outbox {
  readonly #redis: Redis;
  readonly #answerer: Redis;
  readonly #lines: LimitedLog;
  /** A connection that reads next, which answers go ahead of. */
  #ahead: XreadConnection | undefined;
  /** Whether they go with that read, in one write. */
  #together = false;
  #answers: { request: Request; bytes: Buffer }[] = [];
  #commands: Argument[][] = [];
  /** What was sent of the commands in earlier turns, while the answers behind them wait; and whether it deletes. */
  #begun: { sent: Promise<unknown>[]; deletes: boolean } = { sent: [], deletes: false };
  /** Of each stream, up to where it is applied. */
  readonly #applied = new Map<string, string>();
  /** The last VSTORE.TELL. */
  #told: Promise<void> = Promise.resolve();
  /** Commands that Redis has not answered yet, except answers to the module. */
  #underWay = 0;
  #scheduled = false;
  #unconfirmedBytes = 0;
  #confirmed: Promise<unknown> = Promise.resolve();

  /**
   * @param redis for commands that change a key; it stands still while writes are paused
   * @param answerer for VSTORE.REPLY
   */
  constructor(redis: Redis, answerer: Redis, log: Logger) {
    this.#redis = redis;
    this.#answerer = answerer;
    this.#lines = new LimitedLog(log);
  }

  /** Answers a client that the module has blocked. */
  toModule(request: Request, bytes: Buffer): void {
    this.#answers.push({ request, bytes });
    this.#schedule();
  }

  toStream(key: Buffer, request: Request, status: "ok" | "err", bytes: Buffer): void {
    const limits = [replyStreamLengthMax, replyStreamMs];
    this.#push(["EVAL", replyScript, 1, key, ...limits, request.id, status, bytes]);
  }

  toErrors(stream: string, request: Request, error: string): void {
    const fields = ["req", request.id, "cmd", request.name, "error", error];
    const limits = [errorsStreamLengthMax, errorsStreamMs];
    this.#push(["EVAL", errorsScript, 1, stream, ...limits, ...fields]);
  }

  /** Takes effect before any answer that is given after this call. */
  delete(request: Request): void {
    this.#push(["XDEL", request.stream, request.id]);
  }

  /** The same for a write, of whose log it is noted that vstore itself has removed it. */
  withdraw(request: Request): void {
    this.#push(["EVAL", ...evalWords("allow-oom", withdrawScript, [request.stream, logsKey], [request.id])]);
  }

  /** Makes the sidecar look at all keys that the collection follows, if it follows any. */
  outOfStep(collection: string): void {
    this.#push(["HDEL", syncedKey, collection]);
  }

  /** Tells followers how far a stream is applied, after what was withdrawn from it until now. */
  tellApplied(stream: string, id: string): void {
    this.#applied.set(stream, id);
    this.#schedule();
  }

  /** Deletes the value of an entry that a cache has no more, if it is still that one. */
  release(cache: string, key: Uint8Array, digest: string): void {
    const last = this.#commands.at(-1);
    const isSame = last?.[0] === "VSTORE.RELEASE" && last[1] === cache && last[2] !== "AT";
    if (isSame && last.length < 2 * releasedMax) last.push(Buffer.from(key), digest);
    else this.#push(["VSTORE.RELEASE", cache, Buffer.from(key), digest]);
  }

  /** Has the value of an entry live until the deadline, if it is still that one. */
  renew(cache: string, key: Uint8Array, digest: string, deadline: number): void {
    this.#push(["VSTORE.RELEASE", cache, "AT", String(deadline), Buffer.from(key), digest]);
  }

  /**
   * @param connection whose next read answers may go ahead of; `undefined` where none follows at once
   * @param together whether they go with that read, in one write, or at once
   */
  goAhead(connection: XreadConnection | undefined, together: boolean): void {
    this.#ahead = connection;
    this.#together = together;
  }

  /** Resolves once there is room for more answers. */
  async room(): Promise<void> {
    while (this.#unconfirmedBytes > unconfirmedBytesMax) await this.#confirmed;
  }

  /** Resolves once Redis has confirmed everything. */
  async flushed(): Promise<void> {
    while (this.#scheduled) await nextTurn();
    await this.#confirmed;
  }

  #push(command: Argument[]): void {
    this.#commands.push(command);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After everything that this turn still answers, but before waiting for anything new.
    process.nextTick(() => this.#send());
  }

  #send(): void {
    const changes = this.#takeCommands();
    const areMore = this.#commands.length > 0;
    const replies = areMore ? [] : replyCommands(this.#takeAnswers());
    this.#scheduled = areMore || this.#answers.length > 0;
    if (this.#scheduled) setImmediate(() => this.#send());
    const bytes = bytesOf(changes) + bytesOf(replies);
    this.#unconfirmedBytes += bytes;
    const sent = areMore ? this.#sendBefore(changes) : this.#sendInOrder(changes, replies);
    this.#confirmed = Promise.all([this.#confirmed, ...sent]).then(() => {
      this.#unconfirmedBytes -= bytes;
    });
  }

  /** As many as one turn may send. */
  #takeCommands(): Argument[][] {
    const all = this.#commands;
    let words = 0;
    const end = all.findIndex((each) => {
      words += each.length;
      return words > turnWordsMax;
    });
    const taken = end < 0 ? all : all.slice(0, Math.max(end, 1));
    this.#commands = all.slice(taken.length);
    return taken;
  }

  /** As many of those that are ready as one turn may send. */
  #takeAnswers(): readonly { request: Request; bytes: Buffer }[] {
    const all = this.#answers;
    let bytes = 0;
    const end = all.findIndex((each) => {
      bytes += each.bytes.length;
      return bytes > turnBytesMax;
    });
    const taken = end < 0 ? all : all.slice(0, Math.max(end, 1));
    this.#answers = all.slice(taken.length);
    return taken;
  }

  /** The rest of the commands, and the answers behind them, follow in another turn. */
  #sendBefore(changes: readonly Argument[][]): Promise<unknown>[] {
    const sent = changes.map((each) => this.#change(each));
    this.#begun.sent.push(...sent);
    this.#begun.deletes ||= changes.some(isDeletion);
    return sent;
  }

  /** Deletions first: a withdrawn write must have left its log before its client hears of the refusal. */
  #sendInOrder(changes: readonly Argument[][], replies: readonly Argument[][]): Promise<unknown>[] {
    const { sent, deletes } = this.#begun;
    this.#begun = { sent: [], deletes: false };
    const changed = changes.map((each) => this.#change(each));
    if (this.#applied.size > 0) changed.push(this.#tell());
    const reply = () => replies.map((each) => this.#reply(each));
    if (!deletes && !changes.some(isDeletion)) return [...changed, ...reply()];
    return [Promise.all([...sent, ...changed]).then(() => Promise.all(reply()))];
  }

  async #change(command: Argument[]): Promise<void> {
    this.#underWay++;
    await this.#call(this.#redis, command);
    this.#underWay--;
  }

  /**
   * Goes ahead of a read, with the answers: each write wakes Redis. But it must reach Redis behind all that was
   * withdrawn, and behind what was told before: then it goes the same way as those.
   */
  #tell(): Promise<void> {
    const command = [tellCommand, ...[...this.#applied].flat()];
    this.#applied.clear();
    const told = this.#underWay === 0 ? this.#tellAhead(command) : undefined;
    this.#underWay++;
    this.#told = (told ?? this.#told.then(() => this.#call(this.#redis, command))).then(() => {
      this.#underWay--;
    });
    return this.#told;
  }

  #tellAhead(command: string[]): Promise<void> | undefined {
    const ahead = this.#ahead?.isFree ? this.#ahead : undefined;
    return ahead?.sendAhead(encodeCommand(command)).then((line) => this.#heed(command, line));
  }

  #heed([name, key]: readonly Argument[], line: string): void {
    if (line.startsWith("-")) this.#warn(String(name), String(key), line.slice(1).trimEnd());
  }

  /** Large ones go by themselves: they are not to be held back, nor to hold back a read. */
  async #reply(command: Argument[]): Promise<void> {
    if (!this.#ahead?.isFree || bytesOf([command]) >= uncopiedBytesMin)
      return this.#call(this.#answerer, command);
    const bytes = encodeCommand(command as (string | Buffer)[]);
    this.#heed(command, await (this.#together ? this.#ahead.sendAhead(bytes) : this.#ahead.send(bytes)));
  }

  /** Never rejects: a lost connection ends the session, and everything else concerns one answer only. */
  async #call(redis: Redis, [name, ...args]: Argument[]): Promise<void> {
    try {
      const isLarge = name === replyCommand && args.some((each) => size(each) >= uncopiedBytesMin);
      if (isLarge) await redis.sendCommand(new PiecewiseCommand(name, args as Buffer[]));
      else await redis.call(name as string, ...args);
    } catch (error) {
      if (redis.status !== "ready") return;
      const key = String(name === "EVAL" ? args[2] : args[0]);
      this.#warn(String(name), key, (error as Error).message);
    }
  }

  #warn(command: string, key: string, error: string): void {
    this.#lines.warn({ command, key, error }, "Redis refused an answer");
  }
}

function isDeletion([name, script]: readonly Argument[]): boolean {
  return name === "XDEL" || (name === "EVAL" && String(script).endsWith(withdrawScript));
}

/** VSTORE.REPLY commands for the answers, each within the limits above. */
function replyCommands(answers: readonly { request: Request; bytes: Buffer }[]): Argument[][] {
  const commands: Argument[][] = [];
  let command: Argument[] = [];
  let payload = 0;
  for (const { request, bytes } of answers) {
    const full = payload + bytes.length > replyCommandBytesMax || command.length > 3 * replyCommandAnswersMax;
    if (command.length === 0 || full) {
      command = [replyCommand];
      commands.push(command);
      payload = 0;
    }
    command.push(request.stream, request.id, bytes);
    payload += bytes.length;
  }
  return commands;
}

function bytesOf(commands: readonly Argument[][]): number {
  let bytes = 0;
  for (const command of commands) for (const each of command) bytes += size(each);
  return bytes;
}

function size(argument: Argument): number {
  return typeof argument === "number" ? 0 : argument.length;
}
