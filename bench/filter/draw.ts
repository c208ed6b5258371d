/**
 * Brings docs up to date with results/filter.json: the table in benchmarks.md and the picture beside it. Run it after
 * `npm run bench filter`; the packages that draw are those of bench/search (`npm ci --prefix bench/search`).
 */
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import type { Row } from "../harness.ts";
import type { Chart } from "../search/charts.ts";
import { writePictures } from "../search/pictures.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const PAGE = path("../../docs/benchmarks.md");
const TABLE = /^\| matches \| % \|.*\n(\|.*\n)*/m;
const COLORS: Readonly<Record<string, string>> = {
  independent: "#1f77b4",
  "near the query": "#2ca02c",
  "far from the query": "#d62728",
};

/** Engines beside vstore, by their names in the results. */
const RIVALS: Readonly<Record<string, string>> = { hnswlib: "hnswlib-node", faiss: "faiss" };

function markdown(rows: readonly Row[]): string {
  const columns = [
    ...["matches", "%", "plan", "recall@10", "p50 ms", "p99 / unfiltered p50"],
    ...["of unfiltered q/s", "at same recall", "missed"],
  ];
  const rivalOf = (row: Row, name: string) => {
    const recall = row[`${name} recall@10`];
    return recall === undefined ? "-" : `${recall}, ${row[`${name} p50 ms`]}`;
  };
  const cellsOf = (row: Row) => [
    ...columns.map((column) => row[column] ?? ""),
    ...Object.keys(RIVALS).map((name) => rivalOf(row, name)),
  ];
  const titles = [...columns, ...Object.values(RIVALS).map((engine) => `${engine}: recall@10, p50 ms`)];
  const lines = [titles, titles.map(() => "---")];
  return [...lines, ...rows.map(cellsOf)].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

type Line = Readonly<Record<string, unknown>>;

/** The median time of a search at each share of matches, of vstore and of the others. */
function linesOf(rows: readonly Row[], shares: readonly (string | number)[]): Line[] {
  const lineOf = (kind: string, engine: string, column: string, type: string): Line => {
    const color = COLORS[kind];
    const data = shares.map((share) => {
      const value = rows.find((row) => row.matches === kind && row["%"] === share)?.[column];
      return value === undefined ? null : Number(value);
    });
    return {
      type: "line",
      name: `${engine}, ${kind}`,
      data,
      lineStyle: { color, type, width: 3 },
      itemStyle: { color },
    };
  };
  return Object.keys(COLORS).flatMap((kind) => [
    lineOf(kind, "vstore", "p50 ms", "solid"),
    lineOf(kind, "hnswlib-node", "hnswlib p50 ms", "dashed"),
    lineOf(kind, "faiss", "faiss p50 ms", "dotted"),
  ]);
}

function chart(rows: readonly Row[]): Chart {
  const shares = [...new Set(rows.map((row) => row["%"]!))];
  const axis = (name: string) => ({ name, nameLocation: "middle", nameGap: 45 });
  const title = "GloVe, 100,000 vectors: ms of a filtered search (p50)";
  const option = {
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, left: "center", textStyle: { fontSize: 15 } },
    legend: { top: 30, itemGap: 24 },
    textStyle: { fontFamily: "DejaVu Sans, sans-serif" },
    grid: { left: 110, right: 60, top: 110, bottom: 70 },
    xAxis: { ...axis("% of the vectors that match"), type: "category", data: shares.map(String) },
    yAxis: { ...axis("ms"), type: "log" },
    series: linesOf(rows, shares),
  };
  return { file: "time", option };
}

const { rows } = JSON.parse(fs.readFileSync(path("../results/filter.json"), "utf8")) as { rows: Row[] };
const page = fs.readFileSync(PAGE, "utf8");
if (!TABLE.test(page)) throw new Error(`${PAGE} has no table of filtered searches`);
fs.writeFileSync(
  PAGE,
  page.replace(TABLE, () => markdown(rows)),
);
writePictures(path("../../docs/pictures/filter"), [chart(rows)]);
