/**
 * One connected lifetime: two connections that block in XREAD, and one that writes. It ends when either closes, or
 * when it is ended with a reason; it is never revived.
 */
import type { Redis } from "ioredis";
import { connect } from "../redis/connection.ts";
import { bindScripts } from "../redis/script.ts";
import { assertServer, checkServer, runIdOf } from "../redis/server.ts";

type Connections = readonly [reader: Redis, logReader: Redis, writer: Redis];

export class Session {
  /** Of the streams that are there once. */
  readonly reader: Redis;
  /** Of those of each collection. */
  readonly logReader: Redis;
  readonly writer: Redis;
  /** Of the server that all connections reach. */
  readonly runId: string;
  readonly #ended = new AbortController();
  readonly #readerIds: readonly [number, number];

  private constructor(
    [reader, logReader, writer]: Connections,
    readerIds: readonly [number, number],
    runId: string,
  ) {
    this.runId = runId;
    this.reader = reader;
    this.logReader = logReader;
    this.writer = writer;
    this.#readerIds = readerIds;
    for (const redis of [reader, logReader, writer]) {
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

  /** What is read decides what is trimmed: all connections must have come to one server. */
  static async #join(url: string, writer: Redis): Promise<Session> {
    const readers: Redis[] = [];
    try {
      for (const name of ["vstore-reader", "vstore-log-reader"]) readers.push(await connect(url, name));
      const [reader, logReader] = readers as [Redis, Redis];
      const runId = await runIdOf(reader);
      await assertServer(logReader, runId);
      await assertServer(writer, runId);
      bindScripts(writer, runId);
      const ids = [await reader.client("ID"), await logReader.client("ID")] as const;
      return new Session([reader, logReader, writer], ids, runId);
    } catch (error) {
      for (const reader of readers) reader.disconnect();
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
    this.logReader.disconnect();
    this.writer.disconnect();
  }

  /** Makes a blocked XREAD of the common streams return with nothing. */
  async wakeReader(): Promise<void> {
    await this.writer.client("UNBLOCK", this.#readerIds[0]);
  }

  /** The same for those of each collection, which are other ones from now on. */
  async wakeLogReader(): Promise<void> {
    await this.writer.client("UNBLOCK", this.#readerIds[1]);
  }
}
