/**
 * The network between one sidecar and Redis: a TCP proxy whose connections can stand still, as where a cable is pulled
 * and nothing is told, or be broken and refused. It needs no rights, as network namespaces would.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

type State = "open" | "still" | "cut";

export class Link {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: State = "open";

  private constructor(port: number) {
    this.#server = createServer({ noDelay: true }, (client) => this.#lead(client, port));
  }

  static async to(url: string): Promise<Link> {
    const link = new Link(Number(new URL(url).port));
    await new Promise<void>((resolve) => link.#server.listen(0, "127.0.0.1", resolve));
    return link;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** For so long no byte passes; what was sent arrives afterwards. */
  async standStill(ms: number): Promise<void> {
    this.#state = "still";
    for (const socket of this.#sockets) socket.pause();
    await sleep(ms);
    this.#state = "open";
    for (const socket of this.#sockets) socket.resume();
  }

  /** Breaks all connections, and new ones for so long. */
  async cut(ms: number): Promise<void> {
    this.#state = "cut";
    this.#breakAll();
    await sleep(ms);
    this.#state = "open";
  }

  async close(): Promise<void> {
    this.#breakAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #lead(client: Socket, port: number): void {
    if (this.#state === "cut") {
      client.destroy();
      return;
    }
    const redis = connect({ port, host: "127.0.0.1", noDelay: true });
    for (const [socket, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("data", (bytes) => other.write(bytes));
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      if (this.#state === "still") socket.pause();
    }
  }
}
