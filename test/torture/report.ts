/** What a run did and found, in words. */
import { crashKinds, writePoints } from "./crashes.ts";
import type { DamageReport } from "./damage.ts";
import type { TortureReport } from "./torture.ts";

/** Kinds of crashes, and fail points by name. */
export function neverHappened({ crashes }: TortureReport): string[] {
  return [...crashKinds, ...writePoints].filter((kind) => !crashes.has(kind));
}

export function describeTorture(report: TortureReport): string {
  const { cycles, crashes, counts } = report;
  const kinds = [...crashes].map(([kind, count]) => `${kind} ${count}`).join(", ");
  return [
    `${cycles} cycles: ${kinds}`,
    `${counts.acknowledged} writes acknowledged, ${counts.refused} refused, ` +
      `${counts.doubtsApplied + counts.doubtsVoid} in doubt (${counts.doubtsApplied} of them applied), ` +
      `${counts.valuesChecked} values checked, 0 losses`,
    `crashes and fail points that never happened: ${neverHappened(report).join(", ") || "none"}`,
  ].join("\n");
}

export function describeDamage({ mutations, refused, intact, indexes }: DamageReport): string {
  return (
    `${mutations} mutations: ${refused} times refused with file and offset, ${intact} times intact all the same, ` +
    `${indexes} of them without the index, 0 times wrong`
  );
}
