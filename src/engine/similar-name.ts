/** Suggests the name that was probably meant, in errors about unknown names. */

/** Edits between two names that still look alike, for each so many letters. */
const LETTERS_PER_EDIT = 3;

/** `, did you mean 'COUNT'?`, or nothing when no known name is like it. */
export function didYouMean(name: string, known: Iterable<string>): string {
  let best: string | undefined;
  let least = Math.floor(name.length / LETTERS_PER_EDIT) + 1;
  for (const candidate of known) {
    const edits = editsBetween(name.toLowerCase(), candidate.toLowerCase());
    if (edits >= least) continue;
    [best, least] = [candidate, edits];
  }
  return best === undefined ? "" : `, did you mean '${best}'?`;
}

/** Letters inserted, deleted or replaced, and neighbours swapped (Damerau 1964, optimal string alignment). */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(previous[j]! + 1, row[j - 1]! + 1, replaced);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length]!;
}
