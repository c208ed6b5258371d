/**
 * The charts as plain data, so that the page can draw them in a browser and pictures.ts without one. An engine has
 * the same colour in all of them.
 */
import { dataset } from "./datasets.ts";
import { engineNames } from "./engines.ts";
import type { Point } from "./measure.ts";
import type { Entry, Results } from "./results.ts";

export interface Chart {
  /** Of its picture, without the ending. */
  readonly file: string;
  readonly option: object;
}

/** Below it a curve says nothing about an engine that anyone would use. */
const RECALL_SHOWN_MIN = 0.8;

const PALETTE = [
  ...["#d62728", "#e377c2", "#ff7f0e", "#ff9896", "#1f77b4", "#2ca02c", "#98df8a", "#17becf", "#9edae5"],
  ...["#bcbd22", "#dbdb8d", "#9467bd", "#c5b0d5", "#8c564b", "#7f7f7f"],
];

export function charts(results: Results): Chart[] {
  const sets = [...new Set(results.entries.map(({ set }) => set))];
  return sets.flatMap((set) => {
    const entries = results.entries.filter((entry) => entry.set === set);
    const { title } = dataset(set);
    const heading = `${title}, ${results.settings.size!.toLocaleString("en")} vectors`;
    const rates = (what: string) => `${heading}: queries/s over recall@10, ${what}`;
    return [
      curveChart(`${set}-all-cores`, rates("all cores"), entries, ({ allCores }) => allCores),
      curveChart(`${set}-one-core`, rates("one core"), entries, ({ oneCore }) => oneCore),
      barChart(`${set}-build`, `${heading}: build, vectors/s`, entries, {
        "one core": ({ build }) => build.oneCore?.vectorsPerSecond,
        "all cores": ({ build }) => build.allCores?.vectorsPerSecond,
      }),
      barChart(`${set}-memory`, `${heading}: RAM, bytes per vector`, entries, {
        "heap and the like": ({ warm }) => warm.memory && warm.memory.anonymous / results.settings.size!,
        "mapped files": ({ warm }) => warm.memory && warm.memory.files / results.settings.size!,
      }),
      barChart(`${set}-ready`, `${heading}: seconds from the files to the first answer`, entries, {
        cold: ({ cold }) => cold.seconds,
        warm: ({ warm }) => warm.seconds,
      }),
    ];
  });
}

function curveChart(
  file: string,
  title: string,
  entries: readonly Entry[],
  curve: (entry: Entry) => readonly Point[] | undefined,
): Chart {
  const series = entries.flatMap((entry) => {
    const shown = (curve(entry) ?? []).filter(({ recall }) => recall >= RECALL_SHOWN_MIN);
    const color = PALETTE[engineNames.indexOf(entry.engine)]!;
    const data = shown.map(({ recall, qps, ef }) => [recall, Math.round(qps), ef]);
    const width = entry.engine.startsWith("vstore") ? 4 : 2;
    return data.length === 0 ? [] : [{ ...line(entry.engine, color, width), data }];
  });
  const option = {
    ...frame(title),
    tooltip: { trigger: "item", formatter: "{a}: recall, queries/s, ef = {c}" },
    xAxis: { ...axis("recall@10"), type: "value", min: RECALL_SHOWN_MIN, max: 1 },
    yAxis: { ...axis("queries/s"), type: "log" },
    series,
  };
  return { file, option };
}

function barChart(
  file: string,
  title: string,
  entries: readonly Entry[],
  values: Readonly<Record<string, (entry: Entry) => number | undefined>>,
): Chart {
  const series = Object.entries(values).map(([name, value]) => ({
    type: "bar",
    name,
    data: entries.map((entry) => rounded(value(entry))),
    label: { show: true, position: "right", fontSize: 10 },
  }));
  const option = {
    ...frame(title),
    color: ["#1f77b4", "#aec7e8"],
    tooltip: { trigger: "item" },
    xAxis: { type: "value" },
    yAxis: { type: "category", inverse: true, data: entries.map(({ engine }) => engine) },
    series,
  };
  return { file, option };
}

const line = (name: string, color: string, width: number) => ({
  type: "line",
  name,
  symbolSize: 6,
  lineStyle: { color, width },
  itemStyle: { color },
});

const axis = (name: string) => ({ name, nameLocation: "middle", nameGap: 45 });

const frame = (title: string) => ({
  animation: false,
  backgroundColor: "#ffffff",
  title: { text: title, left: "center", textStyle: { fontSize: 15 } },
  legend: { top: 30, itemGap: 24 },
  textStyle: { fontFamily: "DejaVu Sans, sans-serif" },
  grid: { left: 110, right: 60, top: 90, bottom: 60 },
});

/** Three digits. */
const rounded = (value: number | undefined): number | null =>
  value === undefined ? null : Number(value.toPrecision(3));
