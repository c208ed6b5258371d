/**
 * Whether what clients saw of one key is linearizable: as if each operation had happened at one moment between its call
 * and its return. Every write has a value of its own, so a read names its write. Then this is decided by the zones of
 * Gibbons and Korach (Testing Shared Memories, SIAM J. Comput. 26, 1997): a write and its reads reach from the first
 * return among them to the last call. Where the return comes first the zone is forward, and holds its value all the
 * time; else it is backward, and one moment within it is enough. Forward zones must not overlap, and none may contain a
 * backward one.
 */

export interface Operation {
  readonly kind: "write" | "read";
  /** Of a read that found nothing: `absent`. */
  readonly value: number;
  readonly called: number;
  /** Infinity for a write whose outcome its client does not know: it may happen at any time from then on, or never. */
  readonly returned: number;
}

/** What a key holds before the first write. */
export const absent = 0;

interface Zone {
  readonly value: number;
  readonly firstReturn: number;
  readonly lastCall: number;
}

/** @returns what is wrong, or undefined */
export function faultOf(history: readonly Operation[]): string | undefined {
  const writes = new Map<number, Operation>();
  const beginning = { kind: "write", value: absent, called: -Infinity, returned: -Infinity } as const;
  for (const write of [beginning, ...history.filter(({ kind }) => kind === "write")]) {
    if (writes.has(write.value)) return `the value ${write.value} is written twice`;
    writes.set(write.value, write);
  }
  const reads = history.filter(({ kind }) => kind === "read");
  for (const { value, returned } of reads) {
    const write = writes.get(value);
    if (write === undefined) return `a read found ${value}, which was never written`;
    if (returned < write.called) return `a read found ${value} before it was written`;
  }
  return zoneFault([...writes.values()].flatMap((write) => zoneOf(write, reads)));
}

/** None of a write that no client has seen: it may never have happened. */
function zoneOf(write: Operation, reads: readonly Operation[]): Zone[] {
  const all = [write, ...reads.filter(({ value }) => value === write.value)];
  const firstReturn = Math.min(...all.map(({ returned }) => returned));
  if (firstReturn === Infinity) return [];
  return [{ value: write.value, firstReturn, lastCall: Math.max(...all.map(({ called }) => called)) }];
}

function zoneFault(zones: readonly Zone[]): string | undefined {
  const isForward = ({ firstReturn, lastCall }: Zone) => firstReturn < lastCall;
  const forward = zones.filter(isForward).sort((a, b) => a.firstReturn - b.firstReturn);
  for (const [i, zone] of forward.entries()) {
    const next = forward[i + 1];
    if (next !== undefined && next.firstReturn < zone.lastCall)
      return `${zone.value} was seen after ${next.value}, and ${next.value} after ${zone.value}`;
  }
  for (const inner of zones.filter((zone) => !isForward(zone))) {
    const outer = forward.find(
      (zone) => zone.firstReturn < inner.lastCall && inner.firstReturn < zone.lastCall,
    );
    if (outer !== undefined)
      return `${inner.value} was written and gone while ${outer.value} was there all the time`;
  }
  return undefined;
}
