/**
 * The reader that the ceiling of ingest-redis is measured with, a process of its own as the sidecar is one: reads a
 * stream and throws its entries away. Asked by the message {stream, entries}, it answers once it has seen so many.
 */
import { Redis } from "ioredis";

export interface Task {
  readonly stream: string;
  readonly entries: number;
}

/** As many as the sidecar asks for. */
const entriesPerRead = 1_024;

const redis = new Redis(process.argv[2]!, { protocol: 2 });
process.on("message", async ({ stream, entries }: Task) => {
  process.send?.(await discard(stream, entries));
});
process.on("disconnect", () => redis.disconnect());

async function discard(stream: string, entries: number): Promise<number> {
  let seen = 0;
  for (let last = "0-0"; seen < entries; ) {
    const args = ["COUNT", entriesPerRead, "BLOCK", 1_000, "STREAMS", stream, last];
    const reply = (await redis.callBuffer("XREAD", ...args)) as [Buffer, [Buffer, Buffer[]][]][] | null;
    const read = reply?.[0]?.[1] ?? [];
    seen += read.length;
    last = read.at(-1)?.[0].toString() ?? last;
  }
  return seen;
}
