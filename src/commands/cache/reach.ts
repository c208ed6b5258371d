/**
 * The distance up to which an entry answers, learnt from reports about its own answers.
 *
 * vCache (Schroeder et al. 2025, arXiv:2502.03771) shows why no one threshold fits all entries, and gives each its own,
 * learnt online from whether its answers were right, under a bound on errors that the user sets. It fits a logistic
 * curve and explores by chance. Here a write must decide the same in every replay, and an application explores where it
 * wants to (VERIFY), so the rule is one that a person can check. Reports are ordered by their distance.
 *
 * Without ERRORRATE the nearest false report decides: the entry answers up to just below it. A right report farther
 * away than the entry answers widens it to that distance, if no false one is nearer.
 *
 * With ERRORRATE p a distance has to be shown. After f false ones among n reports up to there, the next one is false
 * with a chance of (f + 1) / (n + 2) (Laplace's rule of succession). The entry answers up to the farthest right report
 * where that is at most p. Beyond it only the standard counts, up to just below the next false report.
 */

/** Distance of an answer, and whether it was right. */
export type Report = readonly [distance: number, isRight: 0 | 1];

/** Reports that an entry keeps, the last ones. */
export const reportsMax = 32;

export function reachOf(reports: readonly Report[], standard: number, errorRate: number): number {
  const ordered = [...reports].sort(([a], [b]) => a - b);
  const shown = errorRate === 0 ? farthestRight(ordered) : farthestShown(ordered, errorRate);
  const end = ordered.find(([distance, isRight]) => isRight === 0 && distance > shown);
  const trusted = end === undefined ? standard : Math.min(standard, justBelow(end[0]));
  return Math.max(shown, trusted);
}

/** The farthest right report that is nearer than all false ones. */
function farthestRight(ordered: readonly Report[]): number {
  const end = ordered.find(([, isRight]) => isRight === 0)?.[0] ?? Number.POSITIVE_INFINITY;
  return ordered.findLast(([distance]) => distance < end)?.[0] ?? Number.NEGATIVE_INFINITY;
}

/** The farthest right report up to which the next answer is false with a chance of `errorRate` at most. */
function farthestShown(ordered: readonly Report[], errorRate: number): number {
  let [shown, falses] = [Number.NEGATIVE_INFINITY, 0];
  for (const [i, [distance, isRight]] of ordered.entries()) {
    falses += 1 - isRight;
    // Reports of one distance count together.
    const isLast = ordered[i + 1]?.[0] !== distance;
    if (isLast && (falses + 1) / (i + 3) <= errorRate) shown = isRight === 1 ? distance : shown;
  }
  return shown;
}

const bits = new DataView(new ArrayBuffer(8));

/** The next smaller float64. */
export function justBelow(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value > 0 ? -1n : 1n));
  return bits.getFloat64(0);
}
