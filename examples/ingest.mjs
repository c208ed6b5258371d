import { Queue, QueueEvents } from "bullmq";
import { Redis } from "ioredis";

const url = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
const redis = new Redis(url, { protocol: 2, maxRetriesPerRequest: null });
const options = { connection: redis, prefix: "vstore:bull" };
const queue = new Queue("vstore-ingest", options);
const events = new QueueEvents("vstore-ingest", options);
await redis.call("VSTORE.CREATE", "shades", "DIM", 3, "METRIC", "L2", "NX");

const base64 = (...components) => Buffer.from(new Float32Array(components).buffer).toString("base64");
const items = [
  { key: "crimson", vector: base64(0.86, 0.08, 0.24), attributes: { warm: true } },
  { key: "teal", vector: [0, 0.5, 0.5] },
  { key: "grey", vector: [0.5, 0.5] },
];
const job = await queue.add("shades", { collection: "shades", items });
console.log(await job.waitUntilFinished(events));

await queue.close();
await events.close();
redis.disconnect();
