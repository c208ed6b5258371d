/**
 * Two sidecars with --role auto and --sync-followers 1: one of them, or what they stand on, is killed, stopped,
 * promoted, halted or cut off at random, again and again, while clients write and read. All that they have seen of a
 * key has to be linearizable, so no acknowledged write is lost and no read is older than what its client has seen.
 */
import { generator } from "../../../harness/random.ts";
import { Clients } from "./clients.ts";
import type { Place } from "./place.ts";

export interface FailOverReport {
  readonly failOvers: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly reads: number;
  /** Writes whose client does not know what became of them. */
  readonly inDoubt: number;
}

export interface Plan {
  readonly seed: number;
  readonly count: number;
  /** Only what is over soon. */
  readonly isShort?: boolean;
}

/** @throws Error that says what was lost, with the logs of all processes */
export async function failOvers(
  open: () => Promise<Place>,
  plan: Plan,
  done: () => void = () => {},
): Promise<FailOverReport> {
  const place = await open();
  const random = generator(plan.seed);
  const clients = new Clients(() => place.connect(), random);
  let last = "start";
  try {
    await place.start();
    await place.untilReady();
    await clients.start();
    const counts: Record<string, number> = {};
    for (let i = 0; i < plan.count; i++) {
      last = kindOf(plan.isShort ? place.shortKinds : place.kinds, i, random);
      await place.untilReady();
      await place.end(last, random);
      // The other one serves, and has a follower again, which may lead next.
      await place.untilReady();
      await clients.untilWritten();
      counts[last] = (counts[last] ?? 0) + 1;
      done();
    }
    await clients.finish();
    const { acknowledged, reads, inDoubt } = clients;
    return { failOvers: counts, acknowledged, reads, inDoubt };
  } catch (error) {
    const what = `fail-overs, seed ${plan.seed}, after '${last}': ${(error as Error).message}`;
    throw new Error(`${what}\n${place.logs()}`);
  } finally {
    clients.stop();
    await place.close();
  }
}

/** Each kind once, then any. */
function kindOf(kinds: readonly string[], i: number, random: () => number): string {
  return kinds[i < kinds.length ? i : Math.floor(random() * kinds.length)]!;
}

export function describeFailOvers({ failOvers, acknowledged, reads, inDoubt }: FailOverReport): string {
  const ends = Object.entries(failOvers).map(([kind, count]) => `${count} x ${kind}`);
  return (
    `fail-overs: ${ends.join(", ")}; ${acknowledged} acknowledged writes and ${reads} reads, ` +
    `${inDoubt} writes in doubt: all linearizable`
  );
}
