/**
 * One share of the mutations in a process of its own, and a watch over it: damage may lead into an endless loop or to a
 * SIGSEGV, and which mutation did so only another process can say then.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { DamageReport, Share } from "./damage.ts";

/** Whatever says nothing for so long hangs: ten thousand mutations' time, as others may use the machine too. */
const SILENCE_SECONDS_MAX = 120;
/** Small heaps, collected often: the collector's own threads would take the cores from the other processes. */
const FLAGS = ["--single-threaded-gc", "--import", import.meta.resolve("tsx")];

/** The number of the mutation that begins; the last message is one of the others. */
type Message = number | Outcome;
type Outcome = DamageReport | { failure: string };

export class DamageProcess {
  /** Rejects with seed and number of the mutation that went wrong. */
  readonly report: Promise<DamageReport>;
  readonly #share: Share;
  readonly #child: ChildProcess;
  /** The mutation that it is at. */
  #number: number | undefined;
  #outcome: Outcome | undefined;
  #silenceSeconds = 0;

  /** @param onMutation called as each one begins */
  constructor(share: Share, directory: string, onMutation: () => void) {
    const program = fileURLToPath(new URL("./damage-worker.ts", import.meta.url));
    const args = [directory, share.seed, share.from, share.count].map(String);
    this.#share = share;
    this.#child = fork(program, args, { execArgv: FLAGS });
    this.#child.on("message", (message: Message) => {
      this.#silenceSeconds = 0;
      if (typeof message === "object") this.#outcome = message;
      else this.#number = message;
      if (typeof message === "number") onMutation();
    });
    this.report = this.#watch();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #watch(): Promise<DamageReport> {
    // Turns of the timer are counted, not time: while the whole run is stopped and continued there are none.
    const watch = setInterval(() => {
      if (++this.#silenceSeconds === SILENCE_SECONDS_MAX) this.kill();
    }, 1_000);
    try {
      const [code, signal] = await once(this.#child, "close");
      return this.#judge(signal ?? `exit code ${code}`);
    } finally {
      clearInterval(watch);
    }
  }

  #judge(end: string): DamageReport {
    const outcome = this.#outcome;
    if (outcome !== undefined && "failure" in outcome) throw new Error(outcome.failure);
    const hangs = this.#silenceSeconds >= SILENCE_SECONDS_MAX;
    if (outcome !== undefined && !hangs) return outcome;
    const at = this.#number === undefined ? "before the first mutation" : `mutation ${this.#number}`;
    const what = hangs ? `hangs: it said nothing for ${SILENCE_SECONDS_MAX} s` : `its process ended: ${end}`;
    throw new Error(`seed ${this.#share.seed}, ${at}: ${what}`);
  }
}
