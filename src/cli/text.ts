/** How the tools write numbers, ids and columns for people. */

const numbers = new Intl.NumberFormat("en-US");

export const count = (value: number): string => numbers.format(value);

/** "1 vector", "2 vectors". */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** "12.5 MiB". */
export function bytes(value: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1024 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
  return power === 0 ? counted(value, "byte") : `${(value / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** "2025-11-22 16:40:00 UTC"; of a time beyond the years that a Date knows the milliseconds. */
export function utc(milliseconds: number): string {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return `${milliseconds} ms after 1970`;
  return `${date.toISOString().replace("T", " ").slice(0, 19)} UTC`;
}

/** A log id with the time that is in it: "1763829600000-0 (2025-11-22 16:40:00 UTC)". */
export function logId(id: string): string {
  return `${id} (${utc(Number(id.slice(0, id.indexOf("-"))))})`;
}

/** Lines of columns, each as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd(),
  );
}
