/** Where fail-overs happen: servers, two sidecars with --role auto and --sync-followers 1, and how they can end. */
import type { Redis } from "ioredis";
import { type SidecarProcess, startSidecar } from "../../../harness/sidecar.ts";
import { scratchDirectory } from "../scratch.ts";

/** Longer than a lease, so that the other one leads when it goes on. */
const haltMs = 8_000;

export interface Place {
  /** All that can happen to it. */
  readonly kinds: readonly string[];
  /** Of a short run. */
  readonly shortKinds: readonly string[];
  /** A client, which reaches the primary wherever it is. */
  connect(): Redis;
  /** Starts the first sidecar, then the second. */
  start(): Promise<void>;
  /** Resolves when one leads and the other may lead next. */
  untilReady(): Promise<void>;
  /** Has something end, or stand still for a while. */
  end(kind: string, random: () => number): Promise<void>;
  /** What all processes have said. */
  logs(): string;
  close(): Promise<void>;
}

/** Two of them, each with a directory of its own. */
export class Sidecars {
  readonly directories: string[] = [];
  readonly #urlOf: (directory: string) => Promise<string>;
  readonly #all: SidecarProcess[] = [];

  constructor(urlOf: (directory: string) => Promise<string>) {
    this.#urlOf = urlOf;
  }

  async start(dataDir = this.#directory()): Promise<SidecarProcess> {
    const env = { VSTORE_ROLE: "auto", VSTORE_SYNC_FOLLOWERS: "1", VSTORE_CHECKPOINT_INTERVAL_MS: "2000" };
    const sidecar = startSidecar({ redisUrl: await this.#urlOf(dataDir), dataDir, env });
    this.#all.push(sidecar);
    return sidecar;
  }

  /** The one that leads. */
  get leader(): SidecarProcess {
    return this.#sorted[0]!;
  }

  get follower(): SidecarProcess {
    return this.#sorted.at(-1)!;
  }

  /** Ends it in order, or by SIGKILL, and starts another one on its files. */
  async replace(sidecar: SidecarProcess, inOrder = false): Promise<void> {
    if (inOrder) await sidecar.stop();
    else await sidecar.kill();
    this.#all.splice(this.#all.indexOf(sidecar), 1);
    await this.start(sidecar.dataDir);
  }

  logs(): string {
    return this.#all.map(({ stderr }) => stderr).join("\n\n");
  }

  async kill(): Promise<void> {
    for (const sidecar of this.#all) await sidecar.kill();
  }

  get #sorted(): SidecarProcess[] {
    const leads = ({ stderr }: SidecarProcess) =>
      stderr.lastIndexOf("serving redis:") > stderr.lastIndexOf("following redis:");
    return [...this.#all].sort((a, b) => Number(leads(b)) - Number(leads(a)));
  }

  #directory(): string {
    const directory = scratchDirectory("fail-overs");
    this.directories.push(directory);
    return directory;
  }
}

/** What INFO of the module says when one leads and the other may. */
export const isReady = (info: string) =>
  /vstore_attached:1\r/.test(info) && /vstore_followers_ready:1\r/.test(info);

/** The processes stand still for longer than a lease. */
export async function halt(...pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, haltMs));
  for (const pid of pids) process.kill(pid, "SIGCONT");
}
