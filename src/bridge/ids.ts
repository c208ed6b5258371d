/** What the bridge does with stream ids beyond comparing them. */
import { compareIds } from "../engine/log-id.ts";

const u64Max = 18_446_744_073_709_551_615n;

export function laterId(a: string, b: string): string {
  return compareIds(a, b) >= 0 ? a : b;
}

/** The smallest id above `id`. */
export function nextId(id: string): string {
  const [time, sequence] = id.split("-") as [string, string];
  const next = BigInt(sequence) + 1n;
  return next <= u64Max ? `${time}-${next}` : `${BigInt(time) + 1n}-0`;
}
