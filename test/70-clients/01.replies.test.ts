/**
 * The reply of every command, byte for byte, in RESP2 and in RESP3. Replies are written with one space for each line
 * end, so a text with spaces in it is a pattern.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { commands } from "../../src/commands/registry.ts";
import { fp32 } from "../harness/fp32.ts";
import { RespClient } from "../harness/resp.ts";

type Expected = string | RegExp;

/** `resp3` only where it differs. */
interface Case {
  command: (string | Buffer)[];
  resp2: Expected;
  resp3?: Expected;
}

const origin = fp32(0, 0);
const tenth = fp32(0.1, -2);
const binaryKey = Buffer.from("a\0\r\n$1\r\n\xff", "latin1");

/** Each is asked of a collection `c` of dimension 2, metric L2, that holds these. */
const fixture = ["3", "far", "near", "mid", "FP32", fp32(9, 0, 1, 0, 3, 4), "SETATTR", '{"n":1}', "", "{}"];

const ofTenant = ["SCOPE", "1", "tenant", "acme"];

const cases: Case[] = [
  { command: ["CREATE", "d", "DIM", "3"], resp2: "+OK" },
  { command: ["CREATE", "c", "DIM", "3", "NX"], resp2: "$-1", resp3: "_" },
  { command: ["INSERT", "c", "new", "FP32", origin], resp2: ":1" },
  { command: ["INSERT", "c", "new", "VALUES", "2", "1", "-1.5e0"], resp2: ":1" },
  { command: ["INSERT", "c", "far", "FP32", origin], resp2: ":0" },
  { command: ["INSERT", "c", "far", "FP32", origin, "NX"], resp2: "$-1", resp3: "_" },
  { command: ["INSERT", "c", "new", "FP32", origin, "XX"], resp2: "$-1", resp3: "_" },
  { command: ["INSERT", "c", "far", "FP32", origin, "XX", "SETATTR", "{}"], resp2: ":0" },
  { command: ["MINSERT", "c", "2", "far", "new", "FP32", fp32(1, 2, 3, 4)], resp2: ":1" },
  { command: ["GET", "c", "mid"], resp2: "*2 $1 3 $1 4", resp3: "*2 ,3 ,4" },
  { command: ["GET", "c", "mid", "RAW"], resp2: `$8 ${fp32(3, 4).toString("latin1")}` },
  { command: ["GET", "c", "nobody"], resp2: "$-1", resp3: "_" },
  { command: ["GET", "c", "nobody", "RAW"], resp2: "$-1", resp3: "_" },
  {
    command: ["MGET", "c", "nobody", "mid", "mid"],
    resp2: "*3 $-1 *2 $1 3 $1 4 *2 $1 3 $1 4",
    resp3: "*3 _ *2 ,3 ,4 *2 ,3 ,4",
  },
  { command: ["DEL", "c", "far", "nobody", "far"], resp2: ":1" },
  { command: ["EXISTS", "c", "far", "nobody", "far"], resp2: ":2" },
  { command: ["CARD", "c"], resp2: ":3" },
  { command: ["CARD", "c", "FILTER", ".n == 1"], resp2: ":1" },
  { command: ["DEL", "c", "FILTER", ".n == 1"], resp2: ":1" },
  { command: ["RANDMEMBER", "c"], resp2: /^\$\d (far|near|mid)$/ },
  { command: ["RANDMEMBER", "c", "1"], resp2: /^\*1 \$\d (far|near|mid)$/ },
  { command: ["MSEARCH", "c", "1", "FP32", origin, "COUNT", "1"], resp2: "*1 *1 $4 near" },
  {
    command: ["MSEARCH", "c", "1", "FP32", origin, "COUNT", "1", "WITHDISTANCES"],
    resp2: "*1 *2 $4 near $1 1",
    resp3: "*1 *1 *2 $4 near ,1",
  },
  {
    command: ["EXPLAIN", "c", "FILTER", ".n == 1"],
    resp2: /^\*22 \$7 vectors :3 .* \$7 matches :1 \$4 plan \$7 compare .* \$7 columns \*1 \$1 n /,
    resp3: /^%11 \$7 vectors :3 .* \$7 matches :1 \$4 plan \$7 compare .* \$7 columns \*1 \$1 n /,
  },
  { command: ["SETATTR", "c", "near", '{"é":2}'], resp2: ":1" },
  { command: ["SETATTR", "c", "nobody", "{}"], resp2: ":0" },
  { command: ["GETATTR", "c", "far"], resp2: '$7 {"n":1}' },
  { command: ["GETATTR", "c", "near"], resp2: "$-1", resp3: "_" },
  { command: ["GETATTR", "c", "nobody"], resp2: "$-1", resp3: "_" },
  { command: ["INSERT", "c", "new", "FP32", origin, "EX", "100"], resp2: ":1" },
  { command: ["INSERT", "c", "new", "FP32", origin, "px", "100000", "XX"], resp2: "$-1", resp3: "_" },
  { command: ["EXPIRE", "c", "far", "100"], resp2: ":1" },
  { command: ["EXPIRE", "c", "far", "100", "XX"], resp2: ":0" },
  { command: ["EXPIRE", "c", "nobody", "100"], resp2: ":0" },
  { command: ["PEXPIRE", "c", "far", "100000"], resp2: ":1" },
  { command: ["EXPIREAT", "c", "nobody", "4000000000"], resp2: ":0" },
  { command: ["EXPIREAT", "c", "far", "4000000000"], resp2: ":1" },
  { command: ["PEXPIREAT", "c", "far", "4000000000000"], resp2: ":1" },
  { command: ["PTTL", "c", "far"], resp2: ":-1" },
  { command: ["PTTL", "c", "nobody"], resp2: ":-2" },
  { command: ["TTL", "c", "far"], resp2: ":-1" },
  { command: ["TTL", "c", "nobody"], resp2: ":-2" },
  { command: ["PERSIST", "c", "far"], resp2: ":0" },
  { command: ["SCAN", "c", "0"], resp2: /^\*2 \$1 0 \*3( \$[34] (far|near|mid)){3}$/ },
  { command: ["SCAN", "c", "0", "COUNT", "2"], resp2: /^\*2 \$\d+ \d+ \*[23]( \$[34] (far|near|mid))+$/ },
  { command: ["SCAN", "c", "0", "MATCH", "x*"], resp2: "*2 $1 0 *0" },
  {
    command: ["SCAN", "c", "0", "MATCH", "near", "COUNT", "9", "WITHATTRS", "WITHEXPIRETIME"],
    resp2: /^\*2 \$1 0 \*1 \*3 \$4 near (\$\d+ \{.*\}|\$-1|_|nil) :-1$/,
  },
  { command: ["SEARCH", "c", "FP32", origin], resp2: "*3 $4 near $3 mid $3 far" },
  { command: ["SEARCH", "c", "VALUES", "2", "9", "0", "COUNT", "1"], resp2: "*1 $3 far" },
  { command: ["SEARCH", "c", "KEY", "mid", "EXACT", "COUNT", "2"], resp2: "*2 $3 mid $4 near" },
  { command: ["SEARCH", "c", "FP32", origin, "WITHIN", "0.5"], resp2: "*0" },
  {
    command: ["SEARCH", "c", "FP32", origin, "WITHIN", "5", "WITHDISTANCES"],
    resp2: "*4 $4 near $1 1 $3 mid $1 5",
    resp3: "*2 *2 $4 near ,1 *2 $3 mid ,5",
  },
  {
    command: ["SEARCH", "c", "FP32", origin, "WITHATTRS", "EF", "10"],
    resp2: '*6 $4 near $-1 $3 mid $2 {} $3 far $7 {"n":1}',
    resp3: '*3 *2 $4 near _ *2 $3 mid $2 {} *2 $3 far $7 {"n":1}',
  },
  {
    command: ["SEARCH", "c", "FP32", origin, "WITHATTRS", "WITHDISTANCES", "COUNT", "2"],
    resp2: "*4 $4 near *2 $1 1 $-1 $3 mid *2 $1 5 $2 {}",
    resp3: "*2 *2 $4 near *2 ,1 _ *2 $3 mid *2 ,5 $2 {}",
  },
  { command: ["SEARCH", "c", "FP32", origin, "WITHIN", "0", "WITHATTRS"], resp2: "*0" },
  { command: ["BUILD", "c"], resp2: /^\+OK indexing \d+ slots in the background$/ },
  { command: ["BUILD", "c", "WAIT"], resp2: /^\+OK \d+ slots added to the index$/ },
  { command: ["CHECKPOINT", "c"], resp2: /^\+OK 3 slots, log covered up to \d+-\d+$/ },
  { command: ["CHECKPOINT"], resp2: "+OK 1 collections" },
  { command: ["WAIT", "c"], resp2: /^\*3 \$\d+ \d+-\d+ :0 \$-1$/, resp3: /^\*3 \$\d+ \d+-\d+ :0 _$/ },
  { command: ["TOKEN", "c"], resp2: /^\$\d+ t2\.\d+-\d+\.\d+-\d+\.[0-9a-f]{8}\.[0-9a-f]{8}$/ },
  {
    command: ["INFO", "c"],
    resp2: /^\*\d+ \$10 dimensions :2 \$6 metric \$2 L2 .*\$7 vectors :3 /,
    resp3: /^%\d+ \$10 dimensions :2 \$6 metric \$2 L2 .*\$7 vectors :3 /,
  },
  {
    command: ["INFO"],
    resp2: /^\*\d+ .*\$11 collections :1 .*\$7 vectors :3 /,
    resp3: /^%\d+ .*\$11 collections :1 .*\$7 vectors :3 /,
  },
  { command: ["LIST"], resp2: "*1 $1 c" },
  { command: ["CACHE.CREATE", "d", "DIM", "2", "SCOPE", "1", "tenant", "WITHIN", "0.1"], resp2: "+OK" },
  {
    command: ["CACHE.SET", "k", "VALUES", "2", "1", "0", "VALUE", "v", ...ofTenant],
    resp2: /^\$\d+ [0-9a-f]+$/,
  },
  {
    command: ["CACHE.GET", "k", "VALUES", "2", "1", "0", ...ofTenant],
    resp2: /^\*10 \$6 status \$3 hit \$2 id \$1 i \$8 distance \$1 0 \$3 age :\d+ \$5 value \$5 Paris$/,
    resp3: /^%5 \$6 status \$3 hit \$2 id \$1 i \$8 distance ,0 \$3 age :\d+ \$5 value \$5 Paris$/,
  },
  { command: ["CACHE.GET", "k", "VALUES", "2", "0", "1", ...ofTenant], resp2: "$-1", resp3: "_" },
  { command: ["CACHE.FEEDBACK", "k", "i", "HIT"], resp2: "$3 0.1", resp3: ",0.10000000000000001" },
  { command: ["CACHE.FEEDBACK", "k", "nobody", "FALSE"], resp2: "$-1", resp3: "_" },
  {
    command: ["CACHE.INFO", "k"],
    resp2: /^\*24 \$7 entries :1 \$5 bytes :5 \$9 max_bytes :0 \$4 hits :0 .* \$6 within \$3 0\.1 /,
    resp3: /^%12 \$7 entries :1 \$5 bytes :5 \$9 max_bytes :0 \$4 hits :0 .* \$6 within ,0\.1\d* /,
  },
  { command: ["CACHE.DEL", "k", "ID", "i", "nobody"], resp2: ":1" },
  { command: ["DROP", "c"], resp2: "+OK" },
];

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});

afterAll(() => vstore?.stop());

test("no command is left out", () => {
  const forClients = [...commands.values()].filter(({ internal }) => !internal);
  expect(new Set(cases.map(({ command: [name] }) => name))).toEqual(
    new Set(forClients.map(({ name }) => name)),
  );
});

describe.each([2, 3] as const)("RESP%i", (protocol) => {
  let client: RespClient;

  beforeAll(async () => {
    client = await RespClient.connect(vstore.port, protocol);
  });

  afterAll(() => client?.close());

  beforeEach(async () => {
    for (const name of ["c", "d", "k"]) await ask("DROP", name);
    expect(await ask("CREATE", "c", "DIM", "2", "METRIC", "L2")).toBe("+OK");
    expect(await ask("MINSERT", "c", ...fixture)).toBe(":3");
  });

  async function ask(name: string, ...args: (string | Buffer)[]): Promise<string> {
    const reply = await client.send(`VSTORE.${name}`, ...args);
    return reply.slice(0, -2).replaceAll("\r\n", " ");
  }

  /** Cache `k`, with one entry. */
  async function fillCache(): Promise<void> {
    expect(await ask("CACHE.CREATE", "k", "DIM", "2", "SCOPE", "1", "tenant", "WITHIN", "0.1")).toBe("+OK");
    const entry = ["VALUES", "2", "1", "0", "VALUE", "Paris", "ID", "i", ...ofTenant];
    expect(await ask("CACHE.SET", "k", ...entry)).toBe("$1 i");
  }

  test.each(cases)("$command", async ({ command: [name, ...args], resp2, resp3 = resp2 }) => {
    if (String(name).startsWith("CACHE.")) await fillCache();
    const reply = await ask(name as string, ...args);
    const expected = protocol === 2 ? resp2 : resp3;
    if (typeof expected === "string") expect(reply).toBe(expected);
    else expect(reply).toMatch(expected);
  });

  test("names of commands and options may be written in any case", async () => {
    expect(await client.send("vstore.search", "c", "key", "mid", "count", "1", "Exact")).toBe(
      "*1\r\n$3\r\nmid\r\n",
    );
  });

  test("a component is the shortest decimal in RESP2 and the same number in RESP3", async () => {
    await ask("INSERT", "c", "tenth", "FP32", tenth);
    const [first, second] =
      protocol === 2 ? ["$19 0.10000000149011612", "$2 -2"] : [",0.10000000149011612", ",-2"];
    expect(await ask("GET", "c", "tenth")).toBe(`*2 ${first} ${second}`);
  });

  test("a distance reads back as the very double that was computed", async () => {
    const reply = await ask("SEARCH", "c", "VALUES", "2", "0", "3", "COUNT", "1", "EXACT", "WITHDISTANCES");
    const distance = reply.match(/ ,?([\d.]+)$/)![1];
    expect(Number(distance)).toBe(Math.sqrt(10));
  });

  test("a large reply arrives whole", async () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `key:${i}`);
    const zeros = Buffer.alloc(8 * names.length);
    expect(await ask("MINSERT", "c", String(names.length), ...names, "FP32", zeros)).toBe(":5000");
    const reply = await ask("SCAN", "c", "0", "COUNT", "100000");
    expect(
      reply
        .split(" ")
        .filter((word) => word.startsWith("key:"))
        .sort(),
    ).toEqual(names.sort());
  });

  test("a key with a time to live has it, and then is gone", async () => {
    expect(await ask("EXPIRE", "c", "mid", "100")).toBe(":1");
    expect(await ask("TTL", "c", "mid")).toBe(":100");
    expect(await ask("PERSIST", "c", "mid")).toBe(":1");
    expect(await ask("TTL", "c", "mid")).toBe(":-1");
    expect(await ask("INSERT", "c", "mid", "FP32", origin, "PX", "1")).toBe(":0");
    await delay(20);
    expect(await ask("EXISTS", "c", "mid")).toBe(":0");
    expect(await ask("CARD", "c")).toBe(":2");
    expect(await ask("SEARCH", "c", "FP32", origin)).toBe("*2 $4 near $3 far");
  });

  test("a key of any bytes goes through every command and comes back in every reply", async () => {
    const shown = `$${binaryKey.length} ${binaryKey.toString("latin1").replaceAll("\r\n", " ")}`;
    const [nil, one, map] = protocol === 2 ? ["$-1", "$1 1", "*2"] : ["_", ",1", "*1 *2"];
    await ask("DEL", "c", "near");
    expect(await ask("INSERT", "c", binaryKey, "FP32", fp32(1, 1))).toBe(":1");
    expect(await ask("MINSERT", "c", "1", binaryKey, "FP32", fp32(0, 1))).toBe(":0");
    expect(await ask("EXISTS", "c", binaryKey)).toBe(":1");
    expect(await ask("GETATTR", "c", binaryKey)).toBe(nil);
    expect(await ask("SETATTR", "c", binaryKey, "{}")).toBe(":1");
    expect(await ask("GETATTR", "c", binaryKey)).toBe("$2 {}");
    expect(await ask("GET", "c", binaryKey, "RAW")).toBe(`$8 ${fp32(0, 1).toString("latin1")}`);
    expect(await ask("MGET", "c", binaryKey)).toMatch(/^\*1 \*2 /);
    expect(await ask("SCAN", "c", "0", "MATCH", "a*")).toBe(`*2 $1 0 *1 ${shown}`);
    expect(await ask("SEARCH", "c", "KEY", binaryKey, "COUNT", "1")).toBe(`*1 ${shown}`);
    const nearest = ["COUNT", "1", "WITHDISTANCES"];
    expect(await ask("SEARCH", "c", "FP32", origin, ...nearest)).toBe(`${map} ${shown} ${one}`);
    expect(await ask("DEL", "c", binaryKey)).toBe(":1");
    expect(await ask("EXISTS", "c", binaryKey)).toBe(":0");
  });

  test("what a transaction queues answers one status each", async () => {
    expect(await client.send("MULTI")).toBe("+OK\r\n");
    expect(await ask("INSERT", "c", "a", "FP32", origin)).toBe("+QUEUED");
    expect(await ask("DEL", "c", "far")).toBe("+QUEUED");
    expect(await client.send("EXEC")).toMatch(/^\*2\r\n\+QUEUED \d+-\d+\r\n\+QUEUED \d+-\d+\r\n$/);
    expect(await ask("CARD", "c")).toBe(":3");
  });
});
