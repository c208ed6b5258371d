/** The tables of figures in docs/monitoring.md. */
import {
  collectionFacts,
  collectionTimes,
  type Figure,
  processFigures,
  storeFigures,
} from "../../src/bridge/figures.ts";

type Described = Pick<Figure<never>, "name" | "kind" | "unit" | "help">;

export function renderFigures(): string {
  return [
    ...table("`VSTORE.INFO collection`", "vstore_collection_", collectionFacts),
    ...table("only in /metrics, by collection", "vstore_collection_", collectionTimes),
    ...table("`VSTORE.INFO`", "vstore_", storeFigures),
    ...table("only in /metrics, of the process", "vstore_", processFigures),
  ].join("\n");
}

function table(title: string, prefix: string, figures: readonly Described[]): string[] {
  const rows = figures.map((each) => `| \`${each.name}\` | ${each.help} | ${metric(prefix, each)} |`);
  return [`| ${title} | | in /metrics |`, "| --- | --- | --- |", ...rows, ""];
}

function metric(prefix: string, { name, kind }: Described): string {
  if (kind === "text") return "–";
  return `\`${prefix}${name}${kind === "counter" ? "_total" : ""}\` (${kind})`;
}
