/**
 * One connected lifetime: two connections that block in XREAD, one that writes and one that answers. It ends when any
 * of them closes, or when it is ended with a reason; it is never revived.
 */
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { closedMessage, connect } from "../redis/connection.ts";
import { joinLargeValues } from "../redis/large-values.ts";
import { chooseNames } from "../redis/node.ts";
import { assertRights } from "../redis/rights.ts";
import { bindScripts } from "../redis/script.ts";
import { assertServer, checkServer, infoField, runIdOf } from "../redis/server.ts";

const names = ["vstore-writer", "vstore-reader", "vstore-log-reader", "vstore-answerer"] as const;
type Connections = [writer: Redis, reader: Redis, logReader: Redis, answerer: Redis];

export class Session {
  /** For commands that change a key: it stands still while writes are paused. */
  readonly writer: Redis;
  /** Of the streams that are there once. */
  readonly reader: Redis;
  /** Of those of each collection. */
  readonly logReader: Redis;
  /** For answers, and for reading in between: it never stands still. */
  readonly answerer: Redis;
  /** Of the server that all of them reach. */
  readonly runId: string;
  readonly #ended = new AbortController();
  readonly #readerIds: readonly [number, number];
  #lease = "";
  #proofKey = "";

  private constructor(connections: Connections, readerIds: readonly [number, number], runId: string) {
    [this.writer, this.reader, this.logReader, this.answerer] = connections;
    this.#readerIds = readerIds;
    this.runId = runId;
    for (const redis of connections) redis.once("close", () => this.end(new ConnectionLost()));
  }

  static async open(url: string): Promise<Session> {
    const opened: Redis[] = [];
    try {
      for (const name of names) {
        const redis = await connect(url, name);
        opened.push(redis);
        if (opened.length > 1) continue;
        await checkServer(redis);
        await assertRights(redis);
        await chooseNames(redis);
      }
      const connections = opened as Connections;
      const [writer, reader, logReader] = connections;
      // What is read decides what is trimmed and which client is answered, so all connections must reach one server.
      const runId = await runIdOf(reader);
      for (const redis of connections) {
        await assertServer(redis, runId);
        joinLargeValues(redis);
      }
      bindScripts(writer, runId);
      const ids = [await reader.client("ID"), await logReader.client("ID")] as const;
      return new Session(connections, ids, runId);
    } catch (error) {
      for (const redis of opened) redis.disconnect();
      throw error;
    }
  }

  /** Lets the other connections answer too, as those of the holder of this lease. Must be called before they read. */
  async join(lease: string): Promise<void> {
    this.#lease = lease;
    const others = [this.answerer, this.reader, this.logReader];
    const [key] = await Promise.all(others.map((redis) => redis.call("VSTORE.JOIN", lease)));
    this.#proofKey = String(key);
  }

  /** @throws where the module does not know this session any more, as it was loaded anew or is of a replica now */
  async confirmJoined(): Promise<void> {
    const key = String(await this.answerer.call("VSTORE.JOIN", this.#lease));
    if (key !== this.#proofKey) throw new Error("the module was loaded anew");
  }

  /** Of the proofs that the module's entries carry; empty before this session leads. */
  get proofKey(): string {
    return this.#proofKey;
  }

  /** Aborted once the session has ended; its reason is the error that ended it. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether it is with the server of this address, as far as its connection shows that. */
  isWith(host: string, port: number): boolean {
    const { remoteAddress, remotePort } = this.writer.stream as Socket;
    return remoteAddress === host && remotePort === port;
  }

  /** Whether the server answers within that time that it is a primary. */
  async isWithPrimary(ms: number): Promise<boolean> {
    const asked = this.answerer.info("replication").catch(() => "");
    const info = await Promise.race([asked, delay(ms, "", { ref: false })]);
    return infoField(info, "role") === "master";
  }

  /** Commands under way fail, so that their callers are released. */
  end(reason: Error): void {
    this.#ended.abort(reason);
    for (const redis of [this.writer, this.reader, this.logReader, this.answerer]) redis.disconnect();
  }

  /** Makes a blocked XREAD of the common streams return with nothing. */
  async wakeReader(): Promise<void> {
    await this.answerer.client("UNBLOCK", this.#readerIds[0]);
  }

  /** The same for the streams of each collection, after their set has changed. */
  async wakeLogReader(): Promise<void> {
    await this.answerer.client("UNBLOCK", this.#readerIds[1]);
  }
}

class ConnectionLost extends Error {
  constructor() {
    super("the connection to Redis was lost");
  }
}

/** Whether it ended a session because one of its connections was closed from outside. */
export function isConnectionLoss(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof Error && error.message === closedMessage);
}
