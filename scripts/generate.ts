/**
 * `npm run generate`: writes everything that follows from the declarations in src/commands. The results are
 * checked in, so that a build needs no generator, and test/40-commands/09.generated.test.ts fails when one is stale.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { renderAll } from "./generate/outputs.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
for (const { path, content } of renderAll(root)) {
  writeFileSync(path, content);
  console.log(`wrote ${path}`);
}
