/** Up to which log id a copy of the files reaches: later entries of the log are not in the copy. */
import type { CopyReport } from "../../engine/tools/backup.ts";
import { counted, logId, table } from "../text.ts";

export function coverage(collections: CopyReport): string[] {
  const rows = collections.map(({ name, live, appliedId }) => [
    `  ${name}`,
    counted(live, "vector"),
    `log covered up to ${logId(appliedId)}`,
  ]);
  return rows.length === 0 ? ["  no collections"] : table(rows);
}
