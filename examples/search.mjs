import { Redis } from "ioredis";

const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379", { protocol: 2 });
const fp32 = (...components) => Buffer.from(new Float32Array(components).buffer);

await redis.call("VSTORE.CREATE", "colours", "DIM", 3, "METRIC", "L2", "NX");
await redis.call("VSTORE.INSERT", "colours", "red", "FP32", fp32(1, 0, 0), "SETATTR", '{"warm":true}');
await redis.call("VSTORE.INSERT", "colours", "orange", "FP32", fp32(1, 0.5, 0), "SETATTR", '{"warm":true}');
await redis.call("VSTORE.INSERT", "colours", "blue", "FP32", fp32(0, 0, 1), "SETATTR", '{"warm":false}');

const query = fp32(0.9, 0.2, 0);
console.log(await redis.call("VSTORE.SEARCH", "colours", "FP32", query, "COUNT", 2, "WITHDISTANCES"));
redis.disconnect();
