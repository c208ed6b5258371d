#!/usr/bin/env node
/**
 * The entry of the program. Before it loads the rest, which Node does by opening many files at once, it looks whether
 * that many may be open: what fails in between ends in a stack trace.
 */
import { openFilesMax, openFilesMin, tooFewFiles } from "./open-files.ts";

if (openFilesMax() < openFilesMin) {
  process.stderr.write(`vstore: ${tooFewFiles()}\n`);
  process.exitCode = 1;
} else {
  await import("./cli/program.ts");
}
