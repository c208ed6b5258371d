/** Has the system forget the contents of files, so that they come from the disk again. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";

/** All files below the directory; none may be mapped. GNU dd asks with posix_fadvise; Node cannot. */
export function dropFromCache(directory: string): void {
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    execFileSync("sync", [path]);
    execFileSync("dd", [`if=${path}`, "iflag=nocache", "count=0", "status=none"]);
  }
}
