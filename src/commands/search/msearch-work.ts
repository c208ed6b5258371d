/**
 * What one MSEARCH may cost, checked before it begins. It has one place among the reads, whatever it asks for, and no
 * deadline ends work that is under way. A single query is let through always, as SEARCH is.
 */
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";

export interface MsearchWork {
  readonly queries: number;
  /** Results of each query, those that OFFSET skips included. */
  readonly wanted: number;
  readonly ef: number;
  readonly exact: boolean;
  /** Rows of the collection, and those of them that are in no index yet. */
  readonly rows: number;
  readonly tail: number;
  readonly dimensions: number;
}

/** @throws {VstoreError} LIMIT; TRYAGAIN where the index lacks too much yet */
export function assertWork(work: MsearchWork): void {
  const { queries, wanted, ef } = work;
  const { queriesResultsMax, queriesCandidatesMax } = limits;
  if (queries * wanted > queriesResultsMax) {
    const most = `at most ${queriesResultsMax} results together`;
    throw new VstoreError(
      "LIMIT",
      `the queries of one MSEARCH must ask for ${most}, got ${queries} x ${wanted}`,
    );
  }
  if (queries * ef > queriesCandidatesMax) {
    const most = `at most ${queriesCandidatesMax} candidates together`;
    throw new VstoreError("LIMIT", `the queries of one MSEARCH must keep ${most}, got ${queries} x EF ${ef}`);
  }
  assertComparisons(work);
}

/** Of queries with rows, one by one: with all of them, or with those that are in no index. */
function assertComparisons({ queries, exact, rows, tail, dimensions }: MsearchWork): void {
  const compared = exact ? rows : tail;
  const most = Math.max(1, Math.floor(limits.queriesComponentsMax / Math.max(1, compared * dimensions)));
  if (queries <= most) return;
  const each = `each query is compared with ${compared} rows of ${dimensions} components`;
  if (exact)
    throw new VstoreError("LIMIT", `'count' must be at most ${most} with EXACT, as ${each}, got ${queries}`);
  throw new VstoreError(
    "TRYAGAIN",
    `'count' must be at most ${most} until the index has all vectors, as ${each}, got ${queries}`,
  );
}

/** Counts rows that the queries of one MSEARCH look at again because of DISTINCT. */
export class RowsLookedAtAgain {
  readonly #queries: number;
  #rows = 0;

  constructor(queries: number) {
    this.#queries = queries;
  }

  /** To be called before they are. @throws {VstoreError} LIMIT */
  add(rows: number): void {
    const { queriesRowsMax } = limits;
    this.#rows += rows;
    if (this.#queries === 1 || this.#rows <= queriesRowsMax) return;
    const what = `the queries of one MSEARCH with DISTINCT would look at more than ${queriesRowsMax} rows again`;
    throw new VstoreError(
      "LIMIT",
      `${what}, as few values have all of the nearest; ask with fewer queries or a FILTER`,
    );
  }
}
