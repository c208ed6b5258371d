/**
 * The distance up to which an entry answers, learnt from reports about its own answers.
 *
 * vCache (Schroeder et al. 2025, arXiv:2502.03771) shows why no one threshold fits all entries, and gives each its own,
 * learnt online from whether its answers were right, under a bound on errors that the user sets. It fits a logistic
 * curve and explores by chance. Here a write must decide the same in every replay, and an application explores where it
 * wants to (VERIFY), so the rule is one that a person can check:
 *
 * - Reports are ordered by their distance. The bound is kept up to a distance where the false ones among all reports up
 *   to there are at most the share ERRORRATE.
 * - The entry answers up to just below the first false report that breaks the bound.
 * - A right report farther away than the entry answers widens it to that distance, if none that breaks the bound is
 *   nearer.
 */

/** Distance of an answer, and whether it was right. */
export type Report = readonly [distance: number, isRight: 0 | 1];

/** Reports that an entry keeps, the last ones. */
export const reportsMax = 32;

export function reachOf(reports: readonly Report[], standard: number, errorRate: number): number {
  const ordered = [...reports].sort(([a], [b]) => a - b);
  let [reach, falses] = [standard, 0];
  for (const [i, [distance, isRight]] of ordered.entries()) {
    falses += 1 - isRight;
    if (isRight === 0 && falses > errorRate * (i + 1)) return Math.min(reach, justBelow(distance));
    if (isRight === 1) reach = Math.max(reach, distance);
  }
  return reach;
}

const bits = new DataView(new ArrayBuffer(8));

/** The next smaller float64. */
export function justBelow(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value > 0 ? -1n : 1n));
  return bits.getFloat64(0);
}
