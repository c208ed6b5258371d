/**
 * A small TCP balancer, such as stands before a Redis that fails over: it leads each new client to the server whose
 * turn it is. The client stays there until one of the two closes.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export class Balancer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #ports: readonly number[] = [];
  #turn = 0;

  private constructor() {
    this.#server = createServer((client) => this.#lead(client));
  }

  /** @param ports of servers on 127.0.0.1, which take turns */
  static async listen(...ports: number[]): Promise<Balancer> {
    const balancer = new Balancer();
    balancer.#ports = ports;
    await new Promise<void>((resolve) => balancer.#server.listen(0, "127.0.0.1", resolve));
    return balancer;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the balancer does not listen");
    return `redis://127.0.0.1:${address.port}`;
  }

  /** From now on leads new clients to these servers; connected clients stay. */
  leadTo(...ports: number[]): void {
    this.#ports = ports;
  }

  /** Closes all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #lead(client: Socket): void {
    const server = connect(this.#ports[this.#turn++ % this.#ports.length]!, "127.0.0.1");
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
