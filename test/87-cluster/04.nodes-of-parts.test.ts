/** What a home knows of other nodes: where a slot is, and what becomes of requests that are not answered. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { NoAnswer, Node } from "../../src/bridge/shards/nodes/node.ts";
import { crc16, slotOf } from "../../src/bridge/shards/nodes/slots.ts";
import { Topology } from "../../src/bridge/shards/nodes/topology.ts";
import { placeParts } from "../../src/bridge/shards/placement.ts";
import { VstoreError } from "../../src/errors.ts";

test("slots are those of Redis Cluster", () => {
  expect(crc16(Buffer.from("123456789"))).toBe(0x31c3);
  expect(slotOf("foo")).toBe(12_182);
  expect(slotOf("{foo}bar")).toBe(12_182);
  expect(slotOf("bar{foo}")).toBe(12_182);
  expect(slotOf("{}foo")).toBe(crc16(Buffer.from("{}foo")) % 16_384);
});

test("parts go to the primaries in turn, each to a slot of its own", () => {
  const primaries = [0, 1, 2].map((i) => ({
    address: { host: "h", port: i },
    ranges: [[i * 5_000, i * 5_000 + 4_999]] as [number, number][],
  }));
  const topology = new Topology(primaries);
  const names = placeParts("user:{7}:docs", 8, topology);
  expect(names.map((name) => topology.ofSlot(slotOf(name))?.port)).toEqual([0, 1, 2, 0, 1, 2, 0, 1]);
  expect(new Set(names.map(slotOf)).size).toBe(8);
  expect(names[0]).toMatch(/^vstore:\{\d+\}:[0-9a-f]{12}:user:\.7\.:docs$/);
  expect(() => placeParts("x".repeat(80), 2, topology)).toThrow(VstoreError);
});

test("a node that takes requests and never answers is given up after the time", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const node = new Node(`redis://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  onTestFinished(() => {
    node.close();
    silent.close();
  });
  await expect(node.ask("PING", [], 50)).rejects.toThrow(new NoAnswer("no answer within 50 ms", false));
});

test("a node that is not there is named as such at once", async () => {
  const gone = createServer().listen(0, "127.0.0.1");
  await once(gone, "listening");
  const { port } = gone.address() as AddressInfo;
  gone.close();
  const node = new Node(`redis://127.0.0.1:${port}`);
  await expect(node.ask("PING", [], 60_000)).rejects.toThrow(/^no connection: .*ECONNREFUSED/);
});
