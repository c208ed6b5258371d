import { createClient } from "redis";

const redis = await createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" }).connect();
const vstore = (command, ...args) => redis.sendCommand([`VSTORE.${command}`, ...args.map(asArgument)]);
const asArgument = (value) => (Buffer.isBuffer(value) ? value : String(value));
const fp32 = (...components) => Buffer.from(new Float32Array(components).buffer);

await vstore("CREATE", "shades", "DIM", 3, "METRIC", "L2", "NX");
await vstore("INSERT", "shades", "red", "FP32", fp32(1, 0, 0));
await vstore("INSERT", "shades", "orange", "FP32", fp32(1, 0.5, 0));
await vstore("INSERT", "shades", "blue", "FP32", fp32(0, 0, 1));

const query = fp32(0.9, 0.2, 0);
console.log(await vstore("SEARCH", "shades", "FP32", query, "COUNT", 2, "WITHDISTANCES"));
redis.destroy();
