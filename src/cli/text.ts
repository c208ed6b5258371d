/** How the tools write numbers, ids and columns for people. */
import Table from "cli-table3";

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

/** "2025-11-22 16:40:00 UTC"; the milliseconds for a time beyond the years of a Date. */
export function utc(milliseconds: number): string {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return `${milliseconds} ms after 1970`;
  return `${date.toISOString().replace("T", " ").slice(0, 19)} UTC`;
}

/** A log id with the time that is in it: "1763829600000-0 (2025-11-22 16:40:00 UTC)". */
export function logId(id: string): string {
  return `${id} (${utc(Number(id.slice(0, id.indexOf("-"))))})`;
}

const noBorders = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid"].flatMap((side) =>
    ["", "-mid", "-left", "-right"].map((part) => [side + part, ""]),
  ),
);

/** Lines of columns, each as wide as its widest cell on a terminal. A row may have fewer cells than others. */
export function table(rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const style = { "padding-left": 0, "padding-right": 0, border: [], head: [] };
  const lines = new Table({ chars: { ...noBorders, middle: "  " }, style, wordWrap: false });
  // Where a cell is missing the table would draw a line of its own between the rows.
  const columns = Math.max(...rows.map((row) => row.length));
  lines.push(...rows.map((row) => Array.from({ length: columns }, (_, i) => row[i] ?? "")));
  return lines
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
