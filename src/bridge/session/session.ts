/**
 * One connected lifetime: a connection that blocks in XREAD and one that writes. It ends when either closes, or
 * when it is ended with a reason; it is never revived.
 */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { checkServer } from "../redis/server.ts";

export class Session {
  readonly reader: Redis;
  readonly writer: Redis;
  readonly #ended = new AbortController();
  readonly #readerId: number;

  private constructor(reader: Redis, writer: Redis, readerId: number) {
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
      const reader = await connect(url, "vstore-reader");
      return new Session(reader, writer, await reader.client("ID"));
    } catch (error) {
      writer.disconnect();
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
