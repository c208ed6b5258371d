/**
 * Places where a crash would hurt most. The torture tests name one in the environment, `FAIL_POINT=<name>:<n>`, and the
 * process kills itself when it comes there for the n-th time; otherwise a place costs one comparison. It is in the
 * shipped code because a crash between two instructions cannot be hit from outside.
 */

export const failPoints = [
  /** The write is in the log and not applied. */
  "write-before-apply",
  /** It is applied, in memory, and not answered. */
  "write-before-answer",
  "segment-filling",
  "segment-before-rename",
  /** Half of the records of a flush are in the file. */
  "records-half-written",
  /** Everything that the manifest is going to name is durable. */
  "manifest-before-write",
  /** Of MANIFEST.json, and of vstore.json. */
  "replace-before-rename",
  "replace-after-rename",
  "index-half-written",
  /** The index has its name, and no manifest names it. */
  "index-before-manifest",
  "columns-half-written",
  /** The columns have their name, and no manifest names them. */
  "columns-before-manifest",
  "collection-created",
  "collection-renamed-away",
  /** CREATE or DROP is durable, and Redis does not reflect it. */
  "control-before-follow-up",
  /** Some of the values of a dropped cache have ended. */
  "values-half-ended",
  /** All have, and neither Redis nor the files know that. */
  "values-before-forgotten",
  "log-before-trim",
  /** Some of the live vectors are in the next generation's files. */
  "compaction-copying",
  /** All are, durable or not, and the old files are still the truth. */
  "compaction-before-switch",
  /** The next generation serves, and no manifest names it. */
  "compaction-before-manifest",
  /** The manifest names it, and the old files are still there. */
  "compaction-before-removal",
] as const;

export type FailPoint = (typeof failPoints)[number];

const [armed, passes = "1"] = process.env.FAIL_POINT?.split(":") ?? [];
let passesLeft = Number(passes);

/** Ends the process if this place was named. `spoil` then does half of what the crash interrupts. */
export function failPoint(name: FailPoint, spoil?: () => void): void {
  if (name === armed) pass(spoil);
}

function pass(spoil?: () => void): void {
  if (--passesLeft !== 0) return;
  spoil?.();
  process.kill(process.pid, "SIGKILL");
}
