/**
 * What attributes cost a writer: INSERT and MINSERT with five attributes beside the same without, through Redis, until
 * the last is answered, by the clock and by the CPU time of the sidecar; and the memory of their columns. The
 * attributes are two numbers, two words out of 1,000 and a boolean.
 */
import type { Redis } from "ioredis";
import { generator } from "../harness/random.ts";
import { Columns } from "../src/engine/slots/columns.ts";
import { cpuUs, threadUs } from "./cpu.ts";
import { median, type Row, rate, report } from "./harness.ts";
import { type Argument, randomBlobs, share, withClients, withVstore } from "./through-redis.ts";

const DIMENSIONS = 100;
const CONNECTIONS = 16;
const BATCH = 100;
const ROUNDS = Number(process.env.ROUNDS ?? 5);
/** Vectors of one round. */
const SIZE = Number(process.env.SIZE ?? 20_000);
const COLUMN_SLOTS = 100_000;
const COLLECTION = "bench";

const random = generator(1);
const attributes = Array.from({ length: 4_096 }, () => ({
  price: random() * 1_000,
  year: 1950 + Math.floor(random() * 76),
  city: `city ${Math.floor(random() * 1_000)}`,
  brand: `brand ${Math.floor(random() * 1_000)}`,
  stocked: random() < 0.5,
}));
const texts = attributes.map((each) => JSON.stringify(each));
const blobs = { INSERT: randomBlobs(64, 1, DIMENSIONS), MINSERT: randomBlobs(16, BATCH, DIMENSIONS) };

type Command = keyof typeof blobs;

function argumentsOf(command: Command, request: number, hasAttributes: boolean): Argument[] {
  const blob = blobs[command][request % blobs[command].length]!;
  const count = command === "INSERT" ? 1 : BATCH;
  const numbers = Array.from({ length: count }, (_, i) => request * count + i);
  const json = hasAttributes ? ["SETATTR", ...numbers.map((i) => texts[i % texts.length]!)] : [];
  return [
    COLLECTION,
    ...(count === 1 ? [] : [count]),
    ...numbers.map((i) => `key:${i}`),
    "FP32",
    blob,
    ...json,
  ];
}

/** Of one round: vectors per second, and vectors per second of CPU of the sidecar and of its main thread. */
type Rates = readonly [clock: number, sidecar: number, mainThread: number];

async function write(
  clients: readonly Redis[],
  sidecar: number,
  command: Command,
  hasAttributes: boolean,
): Promise<Rates> {
  const requests = command === "INSERT" ? SIZE : SIZE / BATCH;
  await clients[0]!.call("VSTORE.CREATE", COLLECTION, "DIM", DIMENSIONS);
  const used = () => [cpuUs(sidecar), threadUs(sidecar)] as const;
  const before = used();
  const clock = await rate(SIZE, () =>
    share(clients, requests, (client, request) =>
      client.call(`VSTORE.${command}`, ...argumentsOf(command, request, hasAttributes)),
    ),
  );
  const [all, main] = used().map((us, i) => (SIZE * 1e6) / (us - before[i]!));
  await clients[0]!.call("VSTORE.DROP", COLLECTION);
  return [clock, all!, main!];
}

/** Both are written in each round, in turn first; an earlier round only warms up. */
async function measure(clients: readonly Redis[], sidecar: number, command: Command): Promise<Row[]> {
  const rounds: { readonly with: Rates; readonly without: Rates }[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const rates = new Map<boolean, Rates>();
    for (const has of round % 2 === 0 ? [true, false] : [false, true])
      rates.set(has, await write(clients, sidecar, command, has));
    if (round > 0) rounds.push({ with: rates.get(true)!, without: rates.get(false)! });
  }
  return ["", " of the sidecar's CPU", " of its main thread's CPU"].map((of, i) => ({
    what: `${command}, vectors/s${of}`,
    "with attributes": Math.round(median(rounds.map((round) => round.with[i]!))),
    without: Math.round(median(rounds.map((round) => round.without[i]!))),
    figure: median(rounds.map((round) => round.with[i]! / round.without[i]!)).toFixed(2),
    bar: ">= 0.7",
  }));
}

function columnsRow(): Row {
  const columns = new Columns();
  // The numbers are all different, unlike the few that are enough to write.
  for (let slot = 0; slot < COLUMN_SLOTS; slot++) {
    columns.set(slot, { ...attributes[slot % attributes.length]!, price: random() * 1_000 });
  }
  const perVector = columns.bytes / COLUMN_SLOTS;
  return {
    what: "bytes of columns per vector",
    "with attributes": columns.bytes,
    without: 0,
    figure: perVector.toFixed(1),
    bar: "<= 40",
  };
}

await withVstore(async ({ url, sidecar }) => {
  const rows: Row[] = [columnsRow()];
  await withClients(url, CONNECTIONS, async (clients) => {
    for (const command of ["INSERT", "MINSERT"] as const)
      rows.push(...(await measure(clients, sidecar.pid, command)));
  });
  report({
    workload: "filter-writing",
    aim: "0.7 of the rate without attributes, 40 bytes per vector",
    rows,
  });
});
