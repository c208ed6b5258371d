/** The output of formats that write many rows at a time, column by column. */
import type { Row } from "../../bridge/transfer/row.ts";
import { utf8Key } from "./cells.ts";
import type { Output, Shape } from "./format.ts";

export interface Group {
  readonly rowsMax: number;
  readonly vectorBytesMax: number;
}

/** @param end writes what stands behind the last row */
export function inGroups(
  { rowsMax, vectorBytesMax }: Group,
  { dimensions }: Shape,
  writeRows: (rows: readonly Row[]) => Promise<void>,
  end: () => Promise<void>,
): Output {
  const full = Math.max(1, Math.min(rowsMax, Math.floor(vectorBytesMax / (4 * dimensions))));
  let rows: Row[] = [];
  const writeGroup = () => {
    const group = rows;
    rows = [];
    return writeRows(group);
  };
  return {
    write(row) {
      utf8Key(row.key);
      rows.push(row);
      return rows.length < full ? undefined : writeGroup();
    },
    async finish() {
      if (rows.length > 0) await writeGroup();
      await end();
    },
  };
}

/** As columns of 64-bit integers want it. */
export const bigExpiresAt = ({ expiresAt }: Row): bigint | null =>
  expiresAt === undefined ? null : BigInt(expiresAt);
