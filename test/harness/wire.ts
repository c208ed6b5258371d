/** A wire to a Redis that a test can hold, cut or spoil after so many bytes of what Redis answers. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** What happens to the next bytes from Redis: they pass, are passed in another form, never come, or it breaks. */
type Fate = "pass" | "hold" | "cut" | Buffer;

export class Wire {
  /** @param total bytes that this connection has brought from Redis before */
  fate: (bytes: Buffer, total: number) => Fate = () => "pass";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((client) => this.#lead(client, connect(port, "127.0.0.1")));
  }

  static async to(url: string): Promise<Wire> {
    const wire = new Wire(Number(new URL(url).port));
    await new Promise<void>((resolve) => wire.#server.listen(0, "127.0.0.1", resolve));
    return wire;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #lead(client: Socket, redis: Socket): void {
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(redis);
    let total = 0;
    redis.on("data", (bytes: Buffer) => {
      const fate = this.fate(bytes, total);
      total += bytes.length;
      if (fate === "cut") client.destroy();
      else if (fate === "hold") redis.pause();
      else client.write(fate === "pass" ? bytes : fate);
    });
  }
}
