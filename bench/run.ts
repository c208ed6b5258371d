/**
 * Runs every workload, or those that are named as arguments, each in a fresh process, so that none inherits the
 * heap or the compiled code of another.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const workloads = [
  "ingest-engine",
  "ingest-redis",
  "ingest-queue",
  "import",
  "insert-single",
  "roundtrip",
  "client",
  "cache",
  "watching",
  "followers",
  "follow-hset",
  "follow-many",
  "key-load",
  "index-load",
  "index-build",
  "search-while-building",
  "shapes",
  "quantizations",
  "memory",
  "filter",
  "filter-writing",
  "filter-start",
  "filter-evaluating",
  "msearch",
  "shards",
  "checkpoint-stall",
  "start-up",
  "larger-than-memory",
  "many-collections",
  "longest-turn",
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !workloads.includes(name));
if (unknown.length > 0) fail(`no workload ${unknown.join(", ")}; there are ${workloads.join(", ")}`);
for (const name of wanted.length > 0 ? wanted : workloads) run(name);

function run(name: string): void {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { status, signal } = spawnSync(process.execPath, [...process.execArgv, file], { stdio: "inherit" });
  if (status !== 0) fail(`${name} ended with ${status ?? signal}`);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
