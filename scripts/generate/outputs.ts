/** Every generated file with the text it should have. Writes nothing, so that a test can compare. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { commands } from "../../src/commands/registry.ts";
import { renderCTable } from "./c-table.ts";
import { renderClientTypes } from "./client-types.ts";
import { renderCommandPage, renderCommandTable } from "./markdown.ts";

export interface Output {
  readonly path: string;
  readonly content: string;
}

const tableBegin = "<!-- commands:begin -->";
const tableEnd = "<!-- commands:end -->";

/** @param root the directory of the repository */
export function renderAll(root: string): Output[] {
  const all = [...commands.values()].filter(({ internal }) => !internal);
  const outputs = [
    { path: join(root, "redis/commands.h"), content: renderCTable(all) },
    { path: join(root, "docs/commands.md"), content: renderCommandPage(all) },
    { path: join(root, "client/commands.ts"), content: renderClientTypes(all) },
  ];
  const readme = join(root, "README.md");
  if (!existsSync(readme)) return outputs;
  const content = replaceTable(readFileSync(readme, "utf8"), renderCommandTable(all));
  return [...outputs, { path: readme, content }];
}

/** @throws Error when the markers are not there, in order. */
function replaceTable(page: string, table: string): string {
  const begin = page.indexOf(tableBegin);
  const end = page.indexOf(tableEnd);
  if (begin < 0 || end < begin) throw new Error(`README.md needs ${tableBegin} and, after it, ${tableEnd}`);
  return `${page.slice(0, begin + tableBegin.length)}\n${table}${page.slice(end)}`;
}
