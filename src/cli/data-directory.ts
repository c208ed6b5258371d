/** Makes the data directory, and refuses one that cannot be, before anything is started on it. */
import * as fs from "node:fs";
import * as path from "node:path";
import { SettingsError } from "./settings.ts";

/** @throws SettingsError that says what is in the way */
export function makeDataDirectory(directory: string): void {
  try {
    make(path.resolve(directory));
    fs.accessSync(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SettingsError(
      `--data-dir must be a directory that can be written, or made: ${directory} (${code})`,
    );
  }
}

/** One after the other: by itself, Node goes on for ever in a directory such as /proc, which takes none. */
function make(directory: string): void {
  if (fs.existsSync(directory)) {
    // Throws where it is a file.
    fs.opendirSync(directory).closeSync();
    return;
  }
  make(path.dirname(directory));
  try {
    fs.mkdirSync(directory);
  } catch (error) {
    // Another start was quicker.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
