/** A private directory for one test, removed when the test is over, with every process that still works in it. */
import { onTestFinished } from "vitest";
import { ownDirectory, removeWithProcesses } from "../../harness/left-behind.ts";

export function temporaryDirectory(): string {
  const directory = ownDirectory("test");
  onTestFinished(() => removeWithProcesses(directory));
  return directory;
}
