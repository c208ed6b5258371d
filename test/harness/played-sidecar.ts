/**
 * The test plays the sidecar: it speaks the protocol of src/bridge/PROTOCOL.md by hand, so that the module is tested
 * without the code that normally talks to it.
 */
import { Redis } from "ioredis";

/** A request as it stands in a stream. */
export interface Request {
  readonly stream: string;
  readonly id: string;
  /** Field names and values in turn, as latin1: one character per byte; without those of the moment. */
  readonly fields: readonly string[];
  /** When a write was made, or which entry of the log a read has to see. */
  readonly moment: readonly string[];
}

export class PlayedSidecar {
  readonly redis: Redis;
  readonly #reader: Redis;
  #lease = "";
  readonly #lastIds = new Map<string, string>();

  private constructor(port: number) {
    this.redis = new Redis({ port, host: "127.0.0.1", protocol: 2 });
    this.#reader = this.redis.duplicate();
  }

  /** Connects and attaches for an hour, so that no heartbeat runs beside a test. */
  static async attach(port: number): Promise<PlayedSidecar> {
    const sidecar = new PlayedSidecar(port);
    await sidecar.attach();
    return sidecar;
  }

  /** Takes the lease and attaches, also after the module was loaded anew. */
  async attach(): Promise<void> {
    this.#lease = (await this.redis.call("VSTORE.LEAD", "2", "played", "3600000")) as string;
    await this.redis.call("VSTORE.ATTACH", this.#lease, "3600000");
  }

  /** What the module tells the connection that leads. */
  async proofKey(): Promise<string> {
    return String(await this.redis.call("VSTORE.JOIN", this.#lease));
  }

  async detach(): Promise<void> {
    await this.redis.call("VSTORE.ATTACH", this.#lease, "0");
  }

  /** Makes a collection exist as far as the module can tell: its log is there, and empty. */
  async createLog(collection: string): Promise<void> {
    const id = await this.redis.xadd(`vstore:{${collection}}:log`, "*", "x", "x");
    await this.redis.xdel(`vstore:{${collection}}:log`, id!);
    this.#lastIds.set(`vstore:{${collection}}:log`, id!);
  }

  /** The next request of a stream that was not taken yet; waits for it. */
  async take(stream: string): Promise<Request> {
    const last = this.#lastIds.get(stream) ?? "0-0";
    const reply = (await this.#reader.callBuffer(
      "XREAD",
      ...["COUNT", "1", "BLOCK", "10000", "STREAMS", stream, last],
    )) as [[Buffer, [[Buffer, Buffer[]]]]] | null;
    if (reply === null) throw new Error(`no request came on ${stream}`);
    const [[, [[id, fields]]]] = reply;
    this.#lastIds.set(stream, id.toString());
    const texts = fields.map((field) => field.toString("latin1"));
    const begin = texts.findIndex((text, i) => i % 2 === 0 && (text === "at" || text === "after"));
    const moment = begin < 0 ? [] : texts.splice(begin, 2);
    return { stream, id: id.toString(), fields: texts, moment };
  }

  /** VSTORE.REPLY for one request; resolves to the number of clients that got it. */
  async answer(request: Pick<Request, "stream" | "id">, bytes: string | Buffer): Promise<number> {
    return (await this.redis.call("VSTORE.REPLY", request.stream, request.id, bytes)) as number;
  }

  async takeAndAnswer(stream: string, bytes: string): Promise<Request> {
    const request = await this.take(stream);
    await this.answer(request, bytes);
    return request;
  }

  /** A field of `INFO vstore`. */
  async info(field: string): Promise<string> {
    const text = await this.redis.info("vstore");
    const value = new RegExp(`^vstore_${field}:(.*)\r$`, "m").exec(text);
    if (value === null) throw new Error(`INFO vstore has no ${field}`);
    return value[1]!;
  }

  async untilPending(count: number): Promise<void> {
    while (Number(await this.info("pending")) !== count)
      await new Promise((resolve) => setTimeout(resolve, 5));
  }

  close(): void {
    this.redis.disconnect();
    this.#reader.disconnect();
  }
}
