#!/usr/bin/env node
/**
 * The entry of the program. It checks the limit of open files before it loads the rest, because Node opens many files
 * at once then: a failure in between would end in a stack trace.
 */
import { openFilesMax, openFilesMin, tooFewFiles } from "./open-files.ts";

if (openFilesMax() < openFilesMin) {
  process.stderr.write(`vstore: ${tooFewFiles()}\n`);
  process.exitCode = 1;
} else {
  await import("./cli/program.ts");
}
