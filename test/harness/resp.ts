/**
 * A RESP client that hides nothing: it sends one command at a time and gives back the very bytes of the reply, so that
 * a test can tell RESP2 from RESP3 shapes.
 */
import { createConnection, type Socket } from "node:net";

export class RespClient {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #changed: (() => void) | undefined;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#changed?.();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#changed?.();
    });
  }

  static connect(port: number, protocol: 2 | 3 = 2): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ port, host: "127.0.0.1" });
      socket.once("error", reject);
      socket.once("connect", async () => {
        const client = new RespClient(socket);
        if (protocol === 3) await client.send("HELLO", "3");
        resolve(client);
      });
    });
  }

  /** Sends a command and waits for the bytes of its reply. */
  send(...args: (string | Buffer)[]): Promise<string> {
    this.write(...args);
    return this.read();
  }

  /** Sends a command without waiting. */
  write(...args: (string | Buffer)[]): void {
    this.#socket.write(encodeCommand(args));
  }

  /** The bytes of the next whole reply, one character per byte. */
  async read(): Promise<string> {
    for (;;) {
      const end = replyEnd(this.#received, 0);
      if (end !== undefined) return this.#take(end);
      if (this.#closed) throw new Error("the connection was closed");
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Sends bytes and reads nothing from then on. */
  stall(bytes: Buffer): void {
    this.#socket.pause();
    this.#socket.write(bytes);
  }

  /** Breaks the connection off. */
  close(): void {
    this.#socket.destroy();
  }

  #take(end: number): string {
    const reply = this.#received.subarray(0, end).toString("latin1");
    this.#received = this.#received.subarray(end);
    return reply;
  }
}

export function encodeCommand(args: readonly (string | Buffer)[]): Buffer {
  const parts = args.map((arg) => Buffer.from(arg));
  return Buffer.concat([
    Buffer.from(`*${parts.length}\r\n`),
    ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from("\r\n")]),
  ]);
}

/** Where the value that starts at `start` ends; undefined when it is not all there yet. */
function replyEnd(bytes: Buffer, start: number): number | undefined {
  const feed = bytes.indexOf("\r\n", start);
  if (feed < 0) return undefined;
  const type = String.fromCharCode(bytes[start]!);
  const count = Number(bytes.toString("latin1", start + 1, feed));
  let end: number | undefined = feed + 2;
  if (type === "$" || type === "=") end = count < 0 ? end : end + count + 2;
  if ("*~%>".includes(type)) {
    const children = type === "%" ? 2 * count : count;
    for (let i = 0; i < children && end !== undefined; i++) end = replyEnd(bytes, end);
  }
  return end !== undefined && end <= bytes.length ? end : undefined;
}
