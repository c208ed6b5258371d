/**
 * What attributes cost a writer: INSERT and MINSERT with five attributes beside the same without, through Redis, until
 * the last is answered; and the memory of their columns. The attributes are two numbers, two words out of 1,000 and a
 * boolean.
 */
import type { Redis } from "ioredis";
import { generator } from "../harness/random.ts";
import { Columns } from "../src/engine/slots/columns.ts";
import { alternate, type Row, rate, report } from "./harness.ts";
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

/** Vectors per second. */
async function write(clients: readonly Redis[], command: Command, hasAttributes: boolean): Promise<number> {
  const requests = command === "INSERT" ? SIZE : SIZE / BATCH;
  await clients[0]!.call("VSTORE.CREATE", COLLECTION, "DIM", DIMENSIONS);
  const result = await rate(SIZE, () =>
    share(clients, requests, (client, request) =>
      client.call(`VSTORE.${command}`, ...argumentsOf(command, request, hasAttributes)),
    ),
  );
  await clients[0]!.call("VSTORE.DROP", COLLECTION);
  return result;
}

async function measure(clients: readonly Redis[], command: Command): Promise<Row> {
  const { ours, ceiling, ratio } = await alternate(
    ROUNDS,
    () => write(clients, command, true),
    () => write(clients, command, false),
  );
  return {
    what: `${command}, vectors/s`,
    "with attributes": Math.round(ours),
    without: Math.round(ceiling),
    figure: ratio.toFixed(2),
    bar: ">= 0.7",
  };
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

await withVstore(async ({ url }) => {
  const rows: Row[] = [columnsRow()];
  await withClients(url, CONNECTIONS, async (clients) => {
    for (const command of ["INSERT", "MINSERT"] as const) rows.push(await measure(clients, command));
  });
  report({
    workload: "filter-writing",
    aim: "0.7 of the rate without attributes, 40 bytes per vector",
    rows,
  });
});
