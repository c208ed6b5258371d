/** The measurements of one engine on one set: building, becoming ready, and searching at every ef. */
import { percentile } from "../harness.ts";
import { dataset, filesOf, readBase, readQueries, readTruth } from "./datasets.ts";
import { type Engine, type Pass, secondsSince } from "./engine.ts";
import { engineKind } from "./engines.ts";
import { type Matrix, slice } from "./matrix.ts";
import { type Memory, memoryOf } from "./memory.ts";
import { CLIENTS, EF_TYPICAL, EFS, MEASURE_SECONDS_MIN, WARM_UP_SECONDS_MIN } from "./settings.ts";
import { recall } from "./truth.ts";

/** One engine on one set. */
export interface Subject {
  readonly set: string;
  readonly size: number;
  readonly engine: string;
  /** The engine's own. */
  readonly directory: string;
}

export interface Built {
  readonly vectorsPerSecond: number;
}

export interface Ready {
  /** From nothing to the first answer, the process itself already running. */
  readonly seconds: number;
  /** Of the first queries, one at a time, each for the first time. */
  readonly firstP50Ms: number;
  readonly firstP99Ms: number;
  /** Bytes that loading and answering all queries took; a server's whole processes. */
  readonly memory: Memory | undefined;
}

/** One point of a curve. */
export interface Point {
  readonly ef: number;
  readonly recall: number;
  /** As many queries at once as the engine takes. */
  readonly qps: number;
  /** Cores that this process used meanwhile: of a server, what its client takes. */
  readonly clientCores: number;
  /** One query at a time. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What the way to a server and back costs by itself. */
export interface Ping {
  readonly p50Ms: number;
  /** With as many connections at once as the searches have: no search through them can be faster. */
  readonly qps: number;
}

export interface Searched {
  readonly points: readonly Point[];
  readonly ping: Ping | undefined;
}

/** Queries whose latency is looked at after loading. */
const FIRST_QUERIES = 200;
const PINGS = 1_000;

export async function measureBuild(subject: Subject): Promise<Built> {
  const base = readBase(dataset(subject.set), subject.size);
  return withEngine(subject, async (engine) => {
    const start = performance.now();
    await engine.build(base);
    const vectorsPerSecond = base.rows / secondsSince(start);
    await engine.save();
    return { vectorsPerSecond };
  });
}

export async function measureReady(subject: Subject): Promise<Ready> {
  const queries = readQueries(dataset(subject.set), subject.size);
  const kind = engineKind(subject.engine);
  const openedAt = performance.now();
  return withEngine(subject, async (engine) => {
    // A server's start counts, that of a library's own process does not.
    const start = kind.cores === "server" ? openedAt : performance.now();
    const before = kind.cores === "server" ? undefined : settledMemory(engine);
    await engine.load();
    await engine.setEf(EF_TYPICAL);
    await engine.each(slice(queries, 0, 1));
    const seconds = secondsSince(start);
    const first = await engine.each(slice(queries, 1, Math.min(1 + FIRST_QUERIES, queries.rows)));
    await engine.flood(queries);
    return {
      seconds,
      firstP50Ms: percentile(first.latenciesMs, 50),
      firstP99Ms: percentile(first.latenciesMs, 99),
      memory: difference(settledMemory(engine), before),
    };
  });
}

export async function measureSearch(subject: Subject): Promise<Searched> {
  const set = dataset(subject.set);
  const queries = readQueries(set, subject.size);
  const truth = readTruth(filesOf(set, subject.size).truth);
  return withEngine(subject, async (engine) => {
    await engine.load();
    await engine.setEf(EF_TYPICAL);
    await repeat(() => engine.flood(queries), WARM_UP_SECONDS_MIN);
    await repeat(() => engine.each(queries), WARM_UP_SECONDS_MIN);
    const points: Point[] = [];
    for (const ef of EFS) points.push(await measurePoint(engine, ef, queries, truth));
    return { points, ping: await measurePing(engine) };
  });
}

async function withEngine<T>(
  { set, engine: name, directory }: Subject,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await engineKind(name).open({ set: dataset(set), directory });
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

async function measurePoint(engine: Engine, ef: number, queries: Matrix, truth: Uint32Array): Promise<Point> {
  await engine.setEf(ef);
  await engine.flood(queries);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const flood = await repeat(() => engine.flood(queries));
  const { user, system } = process.cpuUsage(cpu);
  const clientCores = (user + system) / 1e6 / secondsSince(start);
  const each = await repeat(() => engine.each(queries));
  return {
    ef,
    recall: recall(truth, flood.found),
    qps: queries.rows / flood.seconds,
    clientCores,
    p50Ms: percentile(each.latenciesMs, 50),
    p99Ms: percentile(each.latenciesMs, 99),
  };
}

/** As many passes as it takes, seen as one: their mean time, all their latencies. */
async function repeat(pass: () => Promise<Pass>, secondsMin = MEASURE_SECONDS_MIN): Promise<Pass> {
  const passes: Pass[] = [];
  let seconds = 0;
  do {
    const next = await pass();
    seconds += next.seconds;
    passes.push(next);
  } while (seconds < secondsMin);
  return {
    found: passes[0]!.found,
    seconds: seconds / passes.length,
    latenciesMs: passes.flatMap(({ latenciesMs }) => latenciesMs),
  };
}

async function measurePing(engine: Engine): Promise<Ping | undefined> {
  if (engine.ping === undefined) return undefined;
  const latenciesMs: number[] = [];
  const ping = async (lane: number) => {
    const start = performance.now();
    await engine.ping!(lane);
    latenciesMs.push(performance.now() - start);
  };
  for (let i = 0; i < PINGS; i++) await ping(0);
  const p50Ms = percentile(latenciesMs, 50);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, lane) => {
      for (let i = 0; i < PINGS; i++) await ping(lane);
    }),
  );
  return { p50Ms, qps: (PINGS * CLIENTS) / secondsSince(start) };
}

function settledMemory(engine: Engine): Memory | undefined {
  globalThis.gc?.();
  return memoryOf(engine.processes());
}

function difference(after: Memory | undefined, before: Memory | undefined): Memory | undefined {
  if (after === undefined || before === undefined) return after;
  return { anonymous: after.anonymous - before.anonymous, files: after.files - before.files };
}
