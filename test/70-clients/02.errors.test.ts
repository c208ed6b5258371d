/**
 * Every way to ask wrongly, over the wire. Each answer is one line that names the argument, and after each everything
 * is as it was: for another client too.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { fp32 } from "../harness/fp32.ts";
import { RespClient } from "../harness/resp.ts";

type Request = (string | Buffer)[];

const vector = ["FP32", fp32(1, 2)] as const;
const nan = fp32(1, Number.NaN);
const infinite = fp32(Number.POSITIVE_INFINITY, 1);
const hostile = Buffer.from("\0\r\n+OK\r\n".repeat(200), "latin1");
const hostileEcho = `'${"\\x00\\r\\n+OK\\r\\n".repeat(8)}...' (1600 bytes)`;

let vstore: Vstore;
let client: RespClient;
let observer: RespClient;
let before: string[];

beforeAll(async () => {
  vstore = await startVstore();
  client = await RespClient.connect(vstore.port);
  observer = await RespClient.connect(vstore.port, 3);
  await client.send("VSTORE.CREATE", "c", "DIM", "2");
  await client.send("VSTORE.MINSERT", "c", "2", "a", "b", "FP32", fp32(1, 2, 3, 4), "SETATTR", '{"n":1}', "");
  await client.send("VSTORE.CREATE", "flat", "DIM", "2", "METRIC", "L2");
  before = await state();
});

afterAll(async () => {
  client?.close();
  observer?.close();
  await vstore?.stop();
});

afterEach(async () => {
  expect(await client.send("PING"), "the connection goes on").toBe("+PONG\r\n");
  expect(await state(), "nothing has changed").toEqual(before);
});

/** Everything that a client can see, but for what counts requests. */
async function state(): Promise<string[]> {
  const questions: Request[] = [
    ["LIST"],
    ["CARD", "c"],
    ["CARD", "flat"],
    ["SCAN", "c", "0"],
    ["SCAN", "flat", "0"],
  ];
  for (const key of ["a", "b", "k"]) questions.push(["GET", "c", key, "RAW"], ["GETATTR", "c", key]);
  const answers: string[] = [];
  for (const [name, ...args] of questions) answers.push(await observer.send(`VSTORE.${name}`, ...args));
  return answers;
}

/** The line without its end; anything after a first line would be a second reply to no command. */
async function refusal(name: string, ...args: Request): Promise<string> {
  const reply = await client.send(`VSTORE.${name}`, ...args);
  expect(reply).toMatch(/^-[A-Z]+ [\x20-\x7e]+\r\n$/);
  return reply.slice(1, -2);
}

/** `words` may hold Buffers. */
function refuses(cases: [words: Request, message: string | RegExp][]): void {
  test.each(cases)("%s", async ([name, ...args], message) => {
    const line = await refusal(name as string, ...args);
    if (typeof message === "string") expect(line).toBe(message);
    else expect(line).toMatch(message);
  });
}

describe("too few or too many words", () => {
  const tooFew: Request[] = [
    ["CREATE", "x", "DIM"],
    ["INSERT", "c", "k", "FP32"],
    ["MINSERT", "c", "1", "k", "FP32"],
    ["GET", "c"],
    ["MGET", "c"],
    ["DEL", "c"],
    ["EXISTS", "c"],
    ["CARD"],
    ["SETATTR", "c", "a"],
    ["GETATTR", "c"],
    ["SCAN", "c"],
    ["SEARCH", "c", "KEY"],
    ["BUILD"],
    ["DROP"],
  ];
  const tooMany: Request[] = [
    ["SETATTR", "c", "a", "{}", "{}"],
    ["GETATTR", "c", "a", "a"],
    ["LIST", "c"],
    ["DROP", "c", "c"],
  ];

  test.each([...tooFew, ...tooMany].map((request) => [request]))("%s", async ([name, ...args]) => {
    const line = await refusal(name as string, ...args);
    expect(line).toBe(`ERR wrong number of arguments for 'VSTORE.${name}' command`);
  });

  refuses([
    [["CREATE", "x", "DIM", "2", "M"], "ERR 'M' needs a value after it"],
    [["INSERT", "c", "k", "VALUES", "2", "1"], "ERR 'vector' must have 2 components, got 1"],
    [["INSERT", "c", "k", ...vector, "SETATTR"], "ERR 'SETATTR' needs a value after it"],
    [["INSERT", "c", "k", "VALUES", "2", "1", "2", "3"], "ERR unknown option 3"],
    [["MINSERT", "c", "9", "k", ...vector], "ERR 'count' must be followed by 9 values, got 3"],
    [["MINSERT", "c", "1", "k", "k", ...vector], "ERR 'FP32' must stand here, got 'k'"],
    [
      ["MINSERT", "c", "1", "k", ...vector, "SETATTR", "{}", "{}"],
      "ERR 'SETATTR' must be 1 JSON texts, got 2",
    ],
    [["SEARCH", "c", ...vector, "COUNT"], "ERR 'COUNT' needs a value after it"],
    [["SCAN", "c", "0", "MATCH"], "ERR 'MATCH' needs a value after it"],
    [["INFO", "c", "c"], "ERR unexpected argument 'c'"],
    [["CHECKPOINT", "c", "c"], "ERR unexpected argument 'c'"],
  ]);
});

describe("a collection that does not exist", () => {
  const requests: Request[] = [
    ["INSERT", "nobody", "k", ...vector],
    ["MINSERT", "nobody", "1", "k", ...vector],
    ["GET", "nobody", "k"],
    ["MGET", "nobody", "k"],
    ["DEL", "nobody", "k"],
    ["EXISTS", "nobody", "k"],
    ["CARD", "nobody"],
    ["SETATTR", "nobody", "k", "{}"],
    ["GETATTR", "nobody", "k"],
    ["SCAN", "nobody", "0"],
    ["SEARCH", "nobody", ...vector],
    ["BUILD", "nobody", "WAIT"],
    ["CHECKPOINT", "nobody"],
    ["INFO", "nobody"],
    ["DROP", "nobody"],
  ];
  refuses(requests.map((request) => [request, /^NOCOLLECTION .*'nobody'/]));
});

describe("a collection's name", () => {
  const phrase = "'collection' must be 1 to 80 characters of A-Z a-z 0-9 _ . : @ { } -";
  const named = (name: string | Buffer): Request[] => [
    ["CREATE", name, "DIM", "2"],
    ["SEARCH", name, ...vector],
    ["DROP", name],
  ];

  refuses([
    ...named("../../etc").map((request): [Request, string] => [request, `ERR ${phrase}, got '../../etc'`]),
    ...named(hostile).map((request): [Request, string] => [request, `ERR ${phrase}, got ${hostileEcho}`]),
    ...named("").map((request): [Request, string] => [request, `ERR ${phrase}, got ''`]),
    // A write is answered by the module, which knows of names only whether they exist.
    [["INSERT", "../../etc", "k", ...vector], "NOCOLLECTION no collection '../../etc'"],
    [["INSERT", "", "k", ...vector], "NOCOLLECTION no collection ''"],
    [["INSERT", hostile, "k", ...vector], /^NOCOLLECTION no collection '\?{3}\+OK[?+OK]{74}'$/],
    [["CREATE", "/etc/passwd", "DIM", "2"], `ERR ${phrase}, got '/etc/passwd'`],
    [["CREATE", "..", "DIM", "2"], "ERR 'collection' must be a name other than . and .., got '..'"],
    [["CREATE", ".", "DIM", "2"], "ERR 'collection' must be a name other than . and .., got '.'"],
    [["CREATE", "a}b{c", "DIM", "2"], /^ERR 'collection' must be a name with braces only as one hash tag/],
    [["CREATE", "c", "DIM", "2"], "COLLECTIONEXISTS collection 'c' exists already"],
    [["CREATE", "c", "DIM", "3", "METRIC", "IP"], "COLLECTIONEXISTS collection 'c' exists already"],
  ]);
});

describe("a key", () => {
  const phrase = "ERR 'key' must be 1 to 1024 bytes";
  const long = "k".repeat(2_000);
  const longEcho = `'${"k".repeat(64)}...' (2000 bytes)`;
  const keyed = (key: string | Buffer): Request[] => [
    ["INSERT", "c", key, ...vector],
    ["MINSERT", "c", "1", key, ...vector],
    ["GET", "c", key],
    ["MGET", "c", "a", key],
    ["DEL", "c", "a", key],
    ["EXISTS", "c", "a", key],
    ["SETATTR", "c", key, "{}"],
    ["GETATTR", "c", key],
  ];

  refuses([
    ...keyed(long).map((request): [Request, string] => [request, `${phrase}, got ${longEcho}`]),
    ...keyed(hostile).map((request): [Request, string] => [request, `${phrase}, got ${hostileEcho}`]),
    ...keyed("").map((request): [Request, string] => [request, `${phrase}, got ''`]),
    [["SEARCH", "c", "KEY", hostile], `ERR 'KEY' must be 1 to 1024 bytes, got ${hostileEcho}`],
    [["SEARCH", "c", "KEY", "nobody"], "NOKEY 'KEY' must be a key of the collection, got 'nobody'"],
    [["SEARCH", "c", "KEY", "\0\r\n"], "NOKEY 'KEY' must be a key of the collection, got '\\x00\\r\\n'"],
  ]);
});

describe("a vector", () => {
  const sized = (blob: Buffer): Request[] => [
    ["INSERT", "c", "k", "FP32", blob],
    ["MINSERT", "c", "1", "k", "FP32", blob],
    ["SEARCH", "c", "FP32", blob],
  ];
  const sizes = [0, 1, 4, 7, 9, 12];

  refuses([
    ...sizes.flatMap((size) =>
      sized(Buffer.alloc(size, 1)).map((request): [Request, string] => [
        request,
        `ERR 'vector' must be 8 bytes (2 x float32), got ${size}`,
      ]),
    ),
    ...sized(nan).map((request): [Request, RegExp] => [
      request,
      /^ERR 'vector.*' must be finite, component 2 is NaN$/,
    ]),
    ...sized(infinite).map((request): [Request, RegExp] => [
      request,
      /^ERR 'vector.*' must be finite, component 1 is Infinity$/,
    ]),
    ...sized(fp32(0, 0)).map((request): [Request, RegExp] => [request, /^ERR 'vector.*' .*zero/]),
    [["INSERT", "c", "a", "FP32", fp32(0, 0)], /^ERR 'vector.*' .*zero/],
    [
      ["MINSERT", "c", "2", "k", "a", "FP32", fp32(1, 2)],
      "ERR 'vector' must be 16 bytes (2 x 2 x float32), got 8",
    ],
    [
      ["MINSERT", "c", "2", "k", "a", "FP32", fp32(1, 2, Number.NaN, 1)],
      "ERR 'vector 2' must be finite, component 1 is NaN",
    ],
    [["INSERT", "c", "k", "VALUES", "3", "1", "2", "3"], "ERR 'vector' must be 2 numbers, got 3"],
    [
      ["INSERT", "c", "k", "VALUES", "2", "1", "nan"],
      "ERR 'vector' must be finite numbers, component 2 is 'nan'",
    ],
    [
      ["INSERT", "c", "k", "VALUES", "2", "inf", "1"],
      "ERR 'vector' must be finite numbers, component 1 is 'inf'",
    ],
    [["INSERT", "c", "k", "VALUES", "2", "", "1"], "ERR 'vector' must be finite numbers, component 1 is ''"],
    [
      ["INSERT", "c", "k", "VALUES", "2", "0x10", "1"],
      "ERR 'vector' must be finite numbers, component 1 is '0x10'",
    ],
    [
      ["INSERT", "c", "k", "VALUES", "2", "1e39", "1"],
      /^ERR 'vector' must be finite, component 1 is Infinity$/,
    ],
    [["SEARCH", "c", "VALUES", "2", "1", "NaN"], "ERR 'vector' must be finite numbers, component 2 is 'NaN'"],
    [
      ["INSERT", "c", "k", "VALUES", "two", "1", "2"],
      "ERR 'VALUES' must be an integer from 1 to 16384, got 'two'",
    ],
    [["INSERT", "c", "k", "FP64", fp32(1, 2)], "ERR 'vector' must begin with FP32 or VALUES, got 'FP64'"],
    [["INSERT", "c", "k", "KEY", "a"], "ERR 'vector' must begin with FP32 or VALUES, got 'KEY'"],
    [["SEARCH", "c", "a", "COUNT"], "ERR 'query' must begin with FP32, VALUES or KEY, got 'a'"],
    [["MINSERT", "c", "1", "k", "VALUES", "2"], "ERR 'FP32' must stand here, got 'VALUES'"],
  ]);
});

describe("attributes", () => {
  const refused: [json: string | Buffer, reason: RegExp][] = [
    ["[]", /^ERR '(json|SETATTR)' must be a JSON object/],
    ["7", /^ERR '(json|SETATTR)' must be a JSON object/],
    ["null", /^ERR '(json|SETATTR)' must be a JSON object/],
    ['{"n":', /^ERR '(json|SETATTR)' must be a JSON object/],
    ["{'n':1}", /^ERR '(json|SETATTR)' must be a JSON object/],
    [Buffer.from('{"n":"\xff"}', "latin1"), /^ERR '(json|SETATTR)' must be valid UTF-8/],
    [Buffer.from("\0\r\n"), /^ERR '(json|SETATTR)' .*, got '\\x00\\r\\n'$/],
  ];

  refuses(
    refused.flatMap(([json, reason]): [Request, RegExp][] => [
      [["SETATTR", "c", "a", json], reason],
      [["INSERT", "c", "k", ...vector, "SETATTR", json], reason],
      [["MINSERT", "c", "1", "k", ...vector, "SETATTR", json], reason],
    ]),
  );
});

describe("an option", () => {
  refuses([
    [
      ["SEARCH", "c", ...vector, "FILTER", ".n >"],
      "ERR syntax error in FILTER expression at position 4: expected a value on each side of '>', got \">\"",
    ],
    [
      ["SEARCH", "c", ...vector, "FILTER", Buffer.from([0xff])],
      "ERR 'FILTER' must be valid UTF-8, got '\\xff'",
    ],
    [["SEARCH", "c", ...vector, "FILTER"], "ERR 'FILTER' needs a value after it"],
    [
      ["CREATE", "x", "DIM", "2", "QUANT", "Q4"],
      "ERR 'QUANT' must be INT8, INT4, INT2, BIN, F16 or F32, got 'Q4'",
    ],
    [["INSERT", "c", "k", ...vector, "FOREVER"], "ERR unknown option 'FOREVER'"],
    [["INSERT", "c", "k", ...vector, "NX", "XX"], "ERR 'NX' or 'XX' may be given only once"],
    [
      ["INSERT", "c", "k", ...vector, "SETATTR", "{}", "SETATTR", "{}"],
      "ERR 'SETATTR' may be given only once",
    ],
    [["GET", "c", "a", "COOKED"], "ERR unknown option 'COOKED'"],
    [["SEARCH", "c", ...vector, "TRUTH"], "ERR unknown option 'TRUTH'"],
    [["SEARCH", "c", ...vector, hostile], `ERR unknown option ${hostileEcho}`],
    [["SEARCH", "c", ...vector, "COUNT", "ten"], "ERR 'COUNT' must be an integer from 1 to 10000, got 'ten'"],
    [["SEARCH", "c", ...vector, "COUNT", "1.5"], "ERR 'COUNT' must be an integer from 1 to 10000, got 1.5"],
    [["SEARCH", "c", ...vector, "COUNT", "5", "COUNT", "5"], "ERR 'COUNT' may be given only once"],
    [["SEARCH", "c", ...vector, "EF", "-1"], "ERR 'EF' must be an integer from 1 to 10000, got -1"],
    [["SEARCH", "c", ...vector, "WITHIN", "near"], "ERR 'WITHIN' must be a finite number, got 'near'"],
    [["SEARCH", "c", ...vector, "WITHIN", "nan"], "ERR 'WITHIN' must be a finite number, got 'nan'"],
    [["BUILD", "c", "NOW"], "ERR unknown option 'NOW'"],
    [["SCAN", "c", "-1"], "ERR 'cursor' must be an integer from 0 to 9007199254740991, got -1"],
    [["SCAN", "c", "0", "TYPE", "x"], "ERR unknown option 'TYPE'"],
    [["CREATE", "x", "SIZE", "2"], "ERR 'DIM' must stand here, got 'SIZE'"],
    [["CREATE", "x", "DIM", "two"], "ERR 'DIM' must be an integer from 1 to 16384, got 'two'"],
    [["CREATE", "x", "DIM", "2", "METRIC", "L3"], "ERR 'METRIC' must be COSINE, L2 or IP, got 'L3'"],
  ]);
});

describe("inside a transaction or a script", () => {
  test("a read is refused and the rest of the transaction goes on", async () => {
    await client.send("MULTI");
    expect(await client.send("VSTORE.GET", "c", "a")).toBe("+QUEUED\r\n");
    expect(await client.send("PING")).toBe("+QUEUED\r\n");
    const reason = "ERR VSTORE.GET cannot be used inside MULTI or a script: it has to wait for the sidecar";
    expect(await client.send("EXEC")).toBe(`*2\r\n-${reason}\r\n+PONG\r\n`);
  });

  test("a wrong number of words undoes the transaction", async () => {
    await client.send("MULTI");
    await refusal("INSERT", "c", "k");
    expect(await client.send("VSTORE.DEL", "c", "a")).toBe("+QUEUED\r\n");
    expect(await client.send("EXEC")).toMatch(/^-EXECABORT /);
  });

  test("a script's read is refused", async () => {
    const reply = await client.send(
      "EVAL",
      "return redis.call('VSTORE.SEARCH', KEYS[1], 'KEY', 'a')",
      "1",
      "c",
    );
    expect(reply).toMatch(/^-ERR VSTORE\.SEARCH cannot be used inside MULTI or a script[^\r\n]*\r\n$/);
  });

  test("a write that is refused later leaves the others of its transaction in place", async () => {
    await client.send("MULTI");
    await client.send("VSTORE.INSERT", "c", "k", ...vector);
    await client.send("VSTORE.INSERT", "c", "a", "FP32", nan);
    await client.send("VSTORE.DEL", "c", "k");
    expect(await client.send("EXEC")).toMatch(/^(\*3\r\n)(\+QUEUED \d+-\d+\r\n){3}$/);
  });
});

test("a thousand wrong requests in one pipeline get a thousand answers, in order", async () => {
  const count = 1_000;
  for (let i = 0; i < count; i++) client.write("VSTORE.SEARCH", "c", ...vector, "COUNT", String(-1 - i));
  for (let i = 0; i < count; i++) {
    const expected = `-ERR 'COUNT' must be an integer from 1 to 10000, got ${-1 - i}\r\n`;
    expect(await client.read()).toBe(expected);
  }
});

test("under L2 a zero vector is as good as any other", async () => {
  expect(await client.send("VSTORE.INSERT", "flat", "k", "FP32", fp32(0, 0))).toBe(":1\r\n");
  expect(await client.send("VSTORE.DEL", "flat", "k")).toBe(":1\r\n");
});
