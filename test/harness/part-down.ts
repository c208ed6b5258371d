/** What a collection with SHARDS answers while one of its parts is down. */
import { expect } from "vitest";
import type { ClusterNode } from "../../harness/cluster.ts";
import { fp32 } from "./fp32.ts";

/**
 * Every command of the collection says that this part of it does not answer, and where it is. The collection has the
 * keys w0 to w59.
 */
export async function expectNamed(
  collection: string,
  home: ClusterNode,
  part: string,
  { server }: ClusterNode,
): Promise<void> {
  const call = (name: string, ...words: (string | number | Buffer)[]) =>
    home.redis.call(`VSTORE.${name}`, collection, ...words);
  const down = `PARTDOWN part '${part}' on 127.0.0.1:${server.port}: `;
  const query = ["FP32", fp32(7, 0)] as const;
  const requests = [
    ["SEARCH", ...query],
    ["SEARCH", ...query, "EXACT", "WITHATTRS"],
    ["MSEARCH", 2, "FP32", fp32(7, 0, 8, 0)],
    ["MGET", ...Array.from({ length: 30 }, (_, i) => `w${i}`)],
    ["DEL", "FILTER", ".none > 1"],
    ["EXPLAIN", "FILTER", ".n > 1"],
    ["BUILD", "WAIT"],
    ...["CARD", "RANDMEMBER", "INFO", "TOKEN", "WAIT", "CHECKPOINT"].map((name) => [name]),
  ] as const;
  for (const [name, ...words] of requests) await expect(call(name, ...words), name).rejects.toThrow(down);
  const scan = async () => {
    for (let cursor = "0"; ; ) {
      [cursor] = (await call("SCAN", cursor)) as [string];
      if (cursor === "0") return;
    }
  };
  await expect(scan()).rejects.toThrow(down);
  for (const options of [[], ["EXACT", "WITHDISTANCES"], ["FILTER", "not .none == 1", "DISTINCT", "none"]]) {
    const reply = await call("SEARCH", ...query, "COUNT", 60, ...options, "PARTIAL");
    expect((reply as unknown[]).slice(2)).toEqual(["missing", [part]]);
  }
  const partial = (await call("SEARCH", ...query, "COUNT", 60, "PARTIAL")) as string[][];
  const answers = await Promise.allSettled(Array.from({ length: 60 }, (_, i) => call("GET", `w${i}`)));
  const there = answers.flatMap(({ status }, i) => (status === "fulfilled" ? [`w${i}`] : []));
  expect(there.sort()).toEqual([...partial[1]!].sort());
}
