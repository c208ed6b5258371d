/** `vstore verify <data-dir>`: is everything that counts whole? */
import type { Manifest } from "../engine/disk/manifest.ts";
import { damageText } from "../engine/tools/findings.ts";
import { damagesOf, lossesOf, type VerifyReport, verify } from "../engine/tools/verify.ts";
import type { CollectionReport, FileReport } from "../engine/tools/verify-collection.ts";
import { exitCodes } from "./exit.ts";
import { bytesProgress } from "./progress.ts";
import { bytes, count, counted, logId, table } from "./text.ts";

export async function runVerify(directory: string, options: { json?: boolean }): Promise<number> {
  const report = await verify(directory, bytesProgress("verifying"));
  console.log(options.json ? JSON.stringify(asJson(report), undefined, 2) : asText(report));
  return damagesOf(report).length === 0 ? exitCodes.done : exitCodes.failed;
}

function asText(report: VerifyReport): string {
  return [
    ...report.collections.flatMap(collectionLines),
    ...report.files.flatMap(({ damages }) => damages.map((damage) => `DAMAGED  ${damageText(damage)}`)),
    ...report.leftovers.map(leftoverLine),
    verdict(report),
  ].join("\n");
}

function collectionLines({ directory, manifest, files, leftovers }: CollectionReport): string[] {
  const title =
    manifest === undefined
      ? `${directory}: its manifest cannot be read, so nothing else of it was checked`
      : summary(manifest);
  return [
    title,
    ...table(files.flatMap(fileRows)).map(indent),
    ...leftovers.map(leftoverLine).map(indent),
    "",
  ];
}

/** The one collection of a library's store has no name, and no log that its files cover. */
function summary({ name, live, appliedId }: Manifest): string {
  const vectors = counted(live, "vector");
  return name === ""
    ? `store of the library: ${vectors}`
    : `${name}: ${vectors}, log covered up to ${logId(appliedId)}`;
}

function fileRows({ file, bytes: size, damages, isRebuilt }: FileReport): string[][] {
  const length = size === undefined ? "" : bytes(size);
  if (damages.length === 0) return [["whole", file, length]];
  const remedy = isRebuilt ? "; costs nothing, the next start builds it again" : "";
  return damages.map(({ offset, what }) => ["DAMAGED", file, length, `at byte ${offset}: ${what}${remedy}`]);
}

const indent = (line: string): string => `  ${line}`;
const leftoverLine = (file: string): string => `leftover ${file}: harmless, removed at the next start`;

function verdict(report: VerifyReport): string {
  const damages = damagesOf(report).length;
  const all = counted(report.collections.length, "collection");
  if (damages === 0) return `${report.directory} is whole: ${all}`;
  const costly = lossesOf(report).length;
  return `${report.directory} is DAMAGED: ${counted(damages, "damage")} in ${all}, ${count(costly)} that cost data`;
}

function asJson(report: VerifyReport): object {
  return {
    directory: report.directory,
    whole: damagesOf(report).length === 0,
    damages: damagesOf(report),
    collections: report.collections.map(({ directory, manifest, files, leftovers }) => ({
      name: manifest?.name ?? null,
      directory,
      slots: manifest?.slots ?? null,
      live: manifest?.live ?? null,
      appliedId: manifest?.appliedId ?? null,
      files: files.map(({ file, bytes, damages }) => ({
        file,
        bytes: bytes ?? null,
        whole: damages.length === 0,
      })),
      leftovers,
    })),
    leftovers: report.leftovers,
  };
}
