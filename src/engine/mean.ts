/** The mean of the vectors of some keys, minus that of others: the query of a search for more of the same. */
/** Where the vectors of keys are. */
export interface VectorSource {
  readonly options: { readonly dimensions: number };
  get(key: Uint8Array): Float32Array | undefined;
}

/**
 * Sums in float64, as one of float32 may overflow.
 *
 * @param missing the error for a key that is not there
 * @returns shape (dimensions)
 */
export function meanDifference(
  collection: VectorSource,
  like: readonly Uint8Array[],
  unlike: readonly Uint8Array[],
  missing: (key: Uint8Array) => Error,
): Float32Array {
  const sum = new Float64Array(collection.options.dimensions);
  for (const [keys, sign] of [
    [like, 1],
    [unlike, -1],
  ] as const) {
    for (const key of keys) {
      const vector = collection.get(key);
      if (vector === undefined) throw missing(key);
      for (let i = 0; i < sum.length; i++) sum[i]! += (sign * vector[i]!) / keys.length;
    }
  }
  return Float32Array.from(sum);
}
