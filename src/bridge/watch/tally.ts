/**
 * Counts of the requests that were answered, by command and outcome, and how long each took from the moment it was
 * read. Every request is counted, so a count is one addition and builds no label. Labels are bounded: an unknown
 * command counts as OTHER.
 */
import type { Outcome } from "../../commands/execute.ts";
import { commands } from "../../commands/registry.ts";
import { VstoreError } from "../../errors.ts";

/** Upper bounds of the classes of duration, in seconds; one more class has the longer ones. */
export const durationBounds = [
  ...[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01],
  ...[0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
] as const;

const OTHER = "OTHER";
export const OK = "OK";

export interface CommandTally {
  /** By `OK`, or the code of the error. */
  readonly outcomes: Map<string, number>;
  /** Requests of each class of duration, not cumulated. */
  readonly durations: Float64Array;
  seconds: number;
}

export class Tally {
  readonly #byCommand = new Map<string, CommandTally>();

  /** @param readAt when the request was read, by `performance.now()` */
  count(command: string, readAt: number, { error }: Pick<Outcome, "error">): void {
    const tally = this.#byCommand.get(command) ?? this.#begin(command);
    const outcome = error === undefined ? OK : codeOf(error);
    tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
    const seconds = (performance.now() - readAt) / 1000;
    tally.seconds += seconds;
    tally.durations[classOf(seconds)]! += 1;
  }

  /** Command → its tally; commands that never came are not there. */
  get commands(): ReadonlyMap<string, CommandTally> {
    return this.#byCommand;
  }

  #begin(command: string): CommandTally {
    const name = commands.has(command) ? command : OTHER;
    const tally = this.#byCommand.get(name) ?? {
      outcomes: new Map<string, number>(),
      durations: new Float64Array(durationBounds.length + 1),
      seconds: 0,
    };
    this.#byCommand.set(name, tally);
    return tally;
  }
}

function codeOf(error: Error): string {
  return error instanceof VstoreError ? error.code : "ERR";
}

function classOf(seconds: number): number {
  let index = 0;
  while (index < durationBounds.length && seconds > durationBounds[index]!) index++;
  return index;
}
