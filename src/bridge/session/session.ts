/**
 * One connected lifetime: a connection that blocks in XREAD and one that writes. It ends when either closes, or
 * when it is ended with a reason; it is never revived.
 */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { bindScripts } from "../redis/script.ts";
import { assertServer, checkServer, runIdOf } from "../redis/server.ts";

export class Session {
  readonly reader: Redis;
  readonly writer: Redis;
  /** Of the server that both connections reach. */
  readonly runId: string;
  readonly #ended = new AbortController();
  readonly #readerId: number;

  private constructor(reader: Redis, writer: Redis, readerId: number, runId: string) {
    this.runId = runId;
    this.reader = reader;
    this.writer = writer;
    this.#readerId = readerId;
    for (const redis of [reader, writer]) {
      redis.once("close", () => this.end(new Error("the connection to Redis was lost")));
    }
  }

  static async open(url: string): Promise<Session> {
    const writer = await connect(url, "vstore-writer");
    try {
      await checkServer(writer);
      return await Session.#join(url, writer);
    } catch (error) {
      writer.disconnect();
      throw error;
    }
  }

  /** What is read decides what is trimmed: both connections must have come to one server. */
  static async #join(url: string, writer: Redis): Promise<Session> {
    const reader = await connect(url, "vstore-reader");
    try {
      const runId = await runIdOf(reader);
      await assertServer(writer, runId);
      bindScripts(writer, runId);
      return new Session(reader, writer, await reader.client("ID"), runId);
    } catch (error) {
      reader.disconnect();
      throw error;
    }
  }

  /** Aborted once the session has ended; its reason is the error that ended it. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Commands under way fail, so that their callers are released. */
  end(reason: Error): void {
    this.#ended.abort(reason);
    this.reader.disconnect();
    this.writer.disconnect();
  }

  /** Makes a blocked XREAD return with nothing. */
  async wakeReader(): Promise<void> {
    await this.writer.client("UNBLOCK", this.#readerId);
  }
}
