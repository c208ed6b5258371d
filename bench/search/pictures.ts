/**
 * Draws the charts: a page that needs nothing else, with the charting library in it, and PNG pictures for the
 * documents. The library draws SVG without a browser; resvg makes pictures of it.
 */
import * as fs from "node:fs";
import { createRequire } from "node:module";
import type { Row } from "../harness.ts";
import type { Chart } from "./charts.ts";

const WIDTH = 1_000;
const HEIGHT = 560;

/** The parts of the two packages that are used here; they are not the project's. */
interface Echarts {
  init(dom: null, theme: null, options: object): SvgChart;
}

interface SvgChart {
  setOption(option: object): void;
  renderToSVGString(): string;
  /** Ends its timers, which would keep the process. */
  dispose(): void;
}

interface ResvgModule {
  Resvg: new (svg: string, options: object) => { render(): { asPng(): Buffer } };
}

const require = createRequire(import.meta.url);

export function writePictures(directory: string, charts: readonly Chart[]): void {
  const echarts = require("echarts") as Echarts;
  const { Resvg } = require("@resvg/resvg-js") as ResvgModule;
  fs.mkdirSync(directory, { recursive: true });
  for (const { file, option } of charts) {
    const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
    chart.setOption(option);
    const svg = chart.renderToSVGString();
    chart.dispose();
    const picture = new Resvg(svg, {
      font: { loadSystemFonts: true, defaultFontFamily: "DejaVu Sans" },
    });
    fs.writeFileSync(`${directory}/${file}.png`, picture.render().asPng());
  }
}

export function writePage(
  path: string,
  charts: readonly Chart[],
  tables: Readonly<Record<string, readonly Row[]>>,
): void {
  // The smallest of the library's builds: lines and bars.
  const library = fs.readFileSync(require.resolve("echarts/dist/echarts.simple.min.js"), "utf8");
  const options = JSON.stringify(charts.map(({ option }) => option)).replaceAll("<", "\\u003c");
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>vstore: bench/search</title>
<style>
body { font: 14px sans-serif; margin: 2em auto; max-width: ${WIDTH}px; }
table { border-collapse: collapse; font-size: 12px; }
td, th { border: 1px solid #ddd; padding: 2px 6px; text-align: right; }
.chart { width: ${WIDTH}px; height: ${HEIGHT}px; }
</style>
<h1>vstore: bench/search</h1>
${charts.map(() => '<div class="chart"></div>').join("\n")}
${Object.entries(tables).map(htmlTable).join("\n")}
<script>${library}</script>
<script>
const options = ${options};
document.querySelectorAll(".chart").forEach((element, i) => echarts.init(element).setOption(options[i]));
</script>
</html>
`;
  fs.writeFileSync(path, page);
}

function htmlTable([title, rows]: [string, readonly Row[]]): string {
  const columns = Object.keys(rows[0] ?? {});
  const line = (tag: string, cells: readonly unknown[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join("")}</tr>`;
  const body = rows.map((each) =>
    line(
      "td",
      columns.map((column) => each[column]),
    ),
  );
  return `<h2>${escapeHtml(title)}</h2>\n<table>\n${line("th", columns)}\n${body.join("\n")}\n</table>`;
}

const escapeHtml = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
