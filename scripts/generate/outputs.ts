/** Every generated file with the text it should have. Writes nothing, so that a test can compare. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { commands } from "../../src/commands/registry.ts";
import { renderCTable } from "./c-table.ts";
import { renderClientTypes } from "./client-types.ts";
import { renderFigures } from "./figures.ts";
import { renderCommandPage, renderCommandTable } from "./markdown.ts";

export interface Output {
  readonly path: string;
  readonly content: string;
}

/** @param root the directory of the repository */
export function renderAll(root: string): Output[] {
  const all = [...commands.values()].filter(({ internal }) => !internal);
  const outputs = [
    { path: join(root, "redis/commands/commands.h"), content: renderCTable(all) },
    { path: join(root, "docs/commands.md"), content: renderCommandPage(all) },
    {
      path: join(root, "client/commands.ts"),
      content: renderClientTypes(all.filter(({ name }) => !name.startsWith("CACHE."))),
    },
  ];
  const readme = join(root, "README.md");
  const monitoring = join(root, "docs/monitoring.md");
  if (!existsSync(readme)) return outputs;
  return [
    ...outputs,
    { path: readme, content: withTable(readme, "commands", renderCommandTable(all)) },
    { path: monitoring, content: withTable(monitoring, "figures", renderFigures()) },
  ];
}

/** @throws Error when the markers of the table are not there, in order. */
function withTable(path: string, name: string, table: string): string {
  const page = readFileSync(path, "utf8");
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path} needs ${begin} and, after it, ${end}`);
  return `${page.slice(0, from + begin.length)}\n${table}${page.slice(to)}`;
}
