/** What a home knows of other nodes: where a slot is, and what becomes of requests that are not answered. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { generator } from "../../harness/random.ts";
import { encodeNearest } from "../../src/bridge/shards/commands/merge.ts";
import { allOf, BytesOfPart } from "../../src/bridge/shards/found.ts";
import { NoAnswer, Node } from "../../src/bridge/shards/nodes/node.ts";
import { ReplyReader } from "../../src/bridge/shards/nodes/reply-reader.ts";
import { crc16, slotOf } from "../../src/bridge/shards/nodes/slots.ts";
import { Topology } from "../../src/bridge/shards/nodes/topology.ts";
import { placeParts } from "../../src/bridge/shards/placement.ts";
import { PlainSearches } from "../../src/bridge/shards/plain-searches.ts";
import { Double } from "../../src/commands/wire/reply.ts";
import { encodeReply } from "../../src/commands/wire/resp3.ts";
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
  const names = placeParts("user:{7}:docs", "5-0", 8, topology);
  expect(names.map((name) => topology.ofSlot(slotOf(name))?.port)).toEqual([0, 1, 2, 0, 1, 2, 0, 1]);
  expect(new Set(names.map(slotOf)).size).toBe(8);
  expect(names[0]).toMatch(/^vstore:\{\d+\}:[0-9a-f]{12}:user:\.7\.:docs$/);
  expect(() => placeParts("x".repeat(80), "5-0", 2, topology)).toThrow(VstoreError);
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

const plain = { blob: Buffer.alloc(8), k: 3, ef: 50, within: Number.POSITIVE_INFINITY, withDistances: true };
const hit = (key: string, distance: number, attributes?: string) => ({
  key: Buffer.from(key),
  distance,
  attributes: attributes === undefined ? undefined : Buffer.from(attributes),
});
/** As another node answers it. */
const resp2 = (...found: [key: string, distance: string][]) =>
  Buffer.from(
    `*${2 * found.length}\r\n${found.map((pair) => pair.map((each) => `$${each.length}\r\n${each}\r\n`).join("")).join("")}`,
  );

test("results are read from the bytes of RESP2 and of RESP3", () => {
  expect(allOf(new BytesOfPart(resp2(["a", "0.5"], ["bc", "1e-7"]), false).query())).toEqual([
    hit("a", 0.5),
    hit("bc", 1e-7),
  ]);
  const reply = [
    [
      [Buffer.from("a\r\n*2"), [new Double(0.25), Buffer.from("{}")]],
      [Buffer.from("b"), [new Double(-3), null]],
    ],
    [],
    [[Buffer.from("c"), [new Double(Number.POSITIVE_INFINITY), null]]],
  ];
  const part = new BytesOfPart(encodeReply(reply), true);
  expect(part.query().next()).toEqual(hit("a\r\n*2", 0.25, "{}"));
  expect(allOf(part.query())).toEqual([]);
  expect(allOf(part.query())).toEqual([hit("c", Number.POSITIVE_INFINITY)]);
  const nested = Buffer.from("*1\r\n*2\r\n$1\r\nx\r\n*2\r\n$1\r\n2\r\n$-1\r\n");
  expect(allOf(new BytesOfPart(nested, true).query())).toEqual([hit("x", 2)]);
});

test("a reply ends where it ends, in whatever pieces it comes", () => {
  const random = generator(5);
  const replies = [resp2(["a", "0.5"], ["\r\n", "2"]), Buffer.from("-ERR no\r\n"), Buffer.from("*0\r\n")];
  replies.push(Buffer.from("*2\r\n*2\r\n$-1\r\n:1\r\n*1\r\n$0\r\n\r\n"));
  for (const reply of replies) {
    for (let round = 0; round < 50; round++) {
      const reader = new ReplyReader();
      let whole: Buffer | undefined;
      for (let at = 0, end = 0; at < reply.length; at = end) {
        expect(whole).toBe(undefined);
        end = Math.min(reply.length, at + 1 + Math.floor(random() * 9));
        whole = reader.write(reply.subarray(at, end));
      }
      expect(whole).toEqual(reply);
    }
  }
});

test("the nearest of all parts come in order, equal ones in that of the parts", () => {
  const found = [[hit("a", 1), hit("b", 2)], [], [hit("c", 1), hit("d", 1.5), hit("e", 9)]];
  expect(String(encodeNearest(found, { ...plain, k: 4, withDistances: false }))).toBe(
    "*4\r\n$1\r\na\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\nb\r\n",
  );
  expect(String(encodeNearest([[], [hit("a", 0.5)]], plain))).toBe("*1\r\n*2\r\n$1\r\na\r\n,0.5\r\n");
});

test("searches of one turn go together; refused together, they go one by one", async () => {
  const requests: string[] = [];
  const searches = new PlainSearches(async (_, request) => {
    requests.push(/VSTORE\.(\w+)/.exec(String(request))![1]!);
    if (requests.at(-1) === "MSEARCH") throw new VstoreError("LIMIT", "too much together");
    return resp2(["a", "0.5"]);
  });
  const other = searches.ask("p2", plain);
  const all = [searches.ask("p1", plain), searches.ask("p1", plain), searches.ask("p1", { ...plain, k: 4 })];
  for (const found of await Promise.all([other, ...all])) expect(found).toEqual([hit("a", 0.5)]);
  expect(requests.sort()).toEqual(["MSEARCH", "SEARCH", "SEARCH", "SEARCH", "SEARCH"]);
});

test("a part that is down fails all searches that wait for it", async () => {
  const searches = new PlainSearches(() => Promise.reject(new VstoreError("PARTDOWN", "part 'p1'")));
  const all = await Promise.allSettled([searches.ask("p1", plain), searches.ask("p1", plain)]);
  expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
