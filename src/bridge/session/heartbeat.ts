/**
 * The heartbeat as the serving session sees it: a thread (heartbeat-thread.ts) that renews the lease and attaches, as
 * long as this event loop gives signs of life. When the lease is lost, or could not be renewed in time, the session
 * ends.
 */
import { on } from "node:events";
import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { HeartbeatSettings, Wish } from "./heartbeat-thread.ts";
import { beatMs, type Lease, sendAttach } from "./lease.ts";
import type { Session } from "./session.ts";

/** Between two signs of life. */
const signMs = 500;
/** At a hand-over requests wait so long for a sign of the next leader: as long as a leader may be silent. */
const handOverMs = 5_000;

const program = new URL(`heartbeat-thread${extname(import.meta.url)}`, import.meta.url);

export class Heartbeat {
  readonly #session: Session;
  readonly #lease: Lease;
  readonly #syncFollowers: number;
  readonly #thread: Worker;
  readonly #signs: NodeJS.Timeout;
  /** Done once a second. */
  readonly #tasks: (() => Promise<void>)[] = [];
  #threadBeats = false;
  /** What requests find meanwhile: an error, a place in which they wait, or service. */
  #clients: "refused" | "waiting" | "served" = "refused";

  /**
   * Beats from now on until it is stopped.
   *
   * @param syncFollowers how many followers have to apply a write before it is answered
   */
  constructor(session: Session, lease: Lease, url: string, syncFollowers: number) {
    this.#session = session;
    this.#lease = lease;
    this.#syncFollowers = syncFollowers;
    lease.pulse.signOfLife();
    this.#signs = setInterval(() => lease.pulse.signOfLife(), signMs);
    const settings: HeartbeatSettings = { url, lease: lease.text, syncFollowers, memory: lease.pulse.memory };
    this.#thread = new Worker(program, { workerData: settings });
    this.#thread.once("message", () => {
      this.#threadBeats = true;
    });
    this.#thread.on("error", (error) => session.end(error as Error));
    this.#thread.on("exit", () => session.end(new Error("the heartbeat has ended")));
    void this.#run();
  }

  /** @throws Error when another sidecar may lead by now */
  assertLeader(): void {
    this.#lease.assertHeld();
  }

  /** Resolves when clients are admitted. The thread, which may not run yet, goes on with that. */
  async attach(): Promise<void> {
    this.#clients = "served";
    await this.#sendAttach();
    this.#ask("attach").catch(() => {}); // the session is over
  }

  /** Clients that wait since a hand-over do so until they are served. Returns whether there was one. */
  async keepClientsWaiting(): Promise<boolean> {
    const goesOn = (await this.#sendHandOver(handOverMs, "XX")) > 0;
    if (goesOn) this.#clients = "waiting";
    return goesOn;
  }

  /** Gives the lease up; followers that wait for it hear of that at once. */
  release(): Promise<void> {
    return this.#lease.release();
  }

  /** Resolves when clients hear at once that no sidecar serves them. */
  detach(): Promise<void> {
    this.#clients = "refused";
    return this.#ask("detach");
  }

  everyBeat(task: () => Promise<void>): void {
    this.#tasks.push(task);
  }

  /** How many followers may take over. */
  heirs(): Promise<number> {
    return this.#sendHandOver(0);
  }

  /** The same; when there are any, requests wait for the one that does. */
  handOver(): Promise<number> {
    return this.#sendHandOver(handOverMs);
  }

  /** After it nothing is sent any more. */
  async stop(): Promise<void> {
    clearInterval(this.#signs);
    this.#thread.removeAllListeners("exit");
    await this.#thread.terminate();
  }

  async #run(): Promise<void> {
    const { signal } = this.#session;
    try {
      while (!signal.aborted) {
        await delay(beatMs, undefined, { signal });
        if (!this.#threadBeats) await this.#beatForThread();
        if (this.#clients === "waiting") await this.keepClientsWaiting();
        for (const task of this.#tasks) await task();
      }
    } catch (error) {
      this.#session.end(error as Error);
    }
  }

  /** A thread takes a while to start on a busy machine. */
  async #beatForThread(): Promise<void> {
    await this.#lease.renew();
    if (this.#clients === "served") await this.#sendAttach();
  }

  #sendAttach(): Promise<void> {
    return sendAttach(this.#session.answerer, this.#lease.text, true, this.#syncFollowers);
  }

  async #sendHandOver(ms: number, ...options: string[]): Promise<number> {
    return Number(await this.#session.answerer.call("VSTORE.HANDOVER", this.#lease.text, ms, ...options));
  }

  async #ask(wish: Wish): Promise<void> {
    const answers = on(this.#thread, "message", { signal: this.#session.signal });
    this.#thread.postMessage(wish);
    for await (const [done] of answers) if (done === wish) return;
  }
}
