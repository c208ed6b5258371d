/**
 * Whether an index finds what it should. What it misses shows in no result: those that it gives are there, at the
 * distance that it says. So stored vectors are looked for, and most of them have to be found.
 */

/**
 * A search to look for one stored vector with. `ef` is as small as can be: a walk that looks at more nodes than there
 * are live vectors is given up, and the scan of everything that follows hides what the index misses.
 */
export const lookingForOne = { k: 1, ef: 2 } as const;

/** Share of the vectors looked for. Whole indexes reach 0.95 and more; without a fifth of the vectors it is 0.8. */
const RECALL_MIN = 0.9;
/** Of fewer, two that are missed by chance would count as too many. */
const LOOKED_FOR_MIN = 30;

/** @throws Error that names the recall */
export function assertRecall(what: string, found: readonly boolean[]): void {
  if (found.length < LOOKED_FOR_MIN) return;
  const recall = found.filter(Boolean).length / found.length;
  if (recall >= RECALL_MIN) return;
  const counts = `${found.length} stored vectors looked for`;
  throw new Error(`recall of ${what}: ${recall.toFixed(3)} of ${counts}, expected at least ${RECALL_MIN}`);
}
