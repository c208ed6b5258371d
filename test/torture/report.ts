/** What a run did and found, in words. */
import { failPoints } from "../../src/engine/fail-point.ts";
import type { DamageReport } from "./damage.ts";
import type { TortureReport } from "./torture.ts";

export function describeTorture({ cycles, crashes, counts }: TortureReport): string {
  const kinds = [...crashes].map(([kind, count]) => `${kind} ${count}`).join(", ");
  const missed = failPoints.filter((name) => !crashes.has(name));
  return [
    `${cycles} cycles: ${kinds}`,
    `${counts.acknowledged} writes acknowledged, ${counts.refused} refused, ` +
      `${counts.doubtsApplied + counts.doubtsVoid} in doubt (${counts.doubtsApplied} of them applied), ` +
      `${counts.valuesChecked} values checked, 0 losses`,
    `fail points not met: ${missed.join(", ") || "none"}`,
  ].join("\n");
}

export function describeDamage({ mutations, refused, intact, indexes }: DamageReport): string {
  return (
    `${mutations} mutations: ${refused} times refused with file and offset, ${intact} times intact all the same, ` +
    `${indexes} of them without the index, 0 times wrong`
  );
}
