/**
 * The ordinary tour of the commands, for every JavaScript client and redis-cli alike: what to send, and the reply as a
 * RESP2 and as a RESP3 client shows it. What is particular to a client stands in its own test.
 */
import { expect } from "vitest";
import { fp32 } from "../harness/fp32.ts";

export type Word = string | Buffer;

export interface Step {
  words: Word[];
  /** The reply; doubles are text and maps are flat arrays under RESP2. */
  resp2?: unknown;
  /** Where it differs: doubles are numbers and maps are arrays of pairs, so that their order counts. */
  resp3?: unknown;
  /** The message of the error that is raised instead. */
  error?: RegExp;
}

export function tour(collection: string): Step[] {
  const step = (name: string, args: Word[], expected: Omit<Step, "words">): Step => ({
    words: [`VSTORE.${name}`, collection, ...args],
    ...expected,
  });
  const origin = ["FP32", fp32(0, 0)];
  return [
    step("CREATE", ["DIM", "2", "METRIC", "L2"], { resp2: "OK" }),
    step("CREATE", ["DIM", "2"], { error: /^COLLECTIONEXISTS / }),
    step("CREATE", ["DIM", "2", "NX"], { resp2: null }),
    step("INSERT", ["far", "FP32", fp32(9, 0), "SETATTR", '{"n":1}'], { resp2: 1 }),
    step("INSERT", ["near", "VALUES", "2", "1", "0"], { resp2: 1 }),
    step("INSERT", ["near", "VALUES", "2", "0e0", ".5"], { resp2: 0 }),
    step("INSERT", ["near", "FP32", fp32(7, 7), "NX"], { resp2: null }),
    step("MINSERT", ["2", "mid", "gone", "FP32", fp32(3, 4, 0, 0), "SETATTR", "{}", ""], { resp2: 2 }),
    step("DEL", ["gone", "nobody"], { resp2: 1 }),
    step("EXISTS", ["far", "gone"], { resp2: 1 }),
    step("CARD", [], { resp2: 3 }),
    step("GET", ["near"], { resp2: ["0", "0.5"], resp3: [0, 0.5] }),
    step("GET", ["gone"], { resp2: null }),
    step("MGET", ["gone", "mid"], { resp2: [null, ["3", "4"]], resp3: [null, [3, 4]] }),
    step("SETATTR", ["near", '{"é":"\\u0000"}'], { resp2: 1 }),
    step("GETATTR", ["near"], { resp2: '{"é":"\\u0000"}' }),
    step("SETATTR", ["near", ""], { resp2: 1 }),
    step("GETATTR", ["near"], { resp2: null }),
    step("SCAN", ["0"], { resp2: ["0", expect.arrayContaining(["far", "near", "mid"])] }),
    step("SCAN", ["0", "MATCH", "m*", "COUNT", "100"], { resp2: ["0", ["mid"]] }),
    step("SEARCH", [...origin, "COUNT", "2"], { resp2: ["near", "mid"] }),
    step("SEARCH", ["VALUES", "2", "8.5", "0", "COUNT", "1"], { resp2: ["far"] }),
    step("SEARCH", ["KEY", "mid", "EXACT", "COUNT", "1"], { resp2: ["mid"] }),
    step("SEARCH", [...origin, "EF", "50", "WITHIN", "5"], { resp2: ["near", "mid"] }),
    step("SEARCH", ["KEY", "mid", "WITHDISTANCES", "WITHIN", "0"], {
      resp2: ["mid", "0"],
      resp3: [["mid", 0]],
    }),
    step("SEARCH", [...origin, "WITHATTRS"], {
      resp2: ["near", null, "mid", "{}", "far", '{"n":1}'],
      resp3: [
        ["near", null],
        ["mid", "{}"],
        ["far", '{"n":1}'],
      ],
    }),
    step("SEARCH", [...origin, "WITHATTRS", "WITHDISTANCES", "WITHIN", "9", "EXACT"], {
      resp2: ["near", ["0.5", null], "mid", ["5", "{}"], "far", ["9", '{"n":1}']],
      resp3: [
        ["near", [0.5, null]],
        ["mid", [5, "{}"]],
        ["far", [9, '{"n":1}']],
      ],
    }),
    step("SEARCH", ["KEY", "gone"], { error: /^NOKEY 'KEY' must be a key of the collection, got 'gone'$/ }),
    step("INSERT", ["far", "FP32", fp32(1)], { error: /^ERR 'vector' must be 8 bytes / }),
    step("GET", [], { error: /^ERR wrong number of arguments / }),
    step("BUILD", ["WAIT"], { resp2: expect.stringMatching(/^OK \d+ slots added to the index$/) }),
    step("CHECKPOINT", [], { resp2: expect.stringMatching(/^OK \d+ slots, log covered up to /) }),
    step("INFO", [], {
      resp2: expect.arrayContaining(["dimensions", 2, "metric", "L2", "vectors", 3]),
      resp3: expect.arrayContaining([
        ["dimensions", 2],
        ["metric", "L2"],
        ["vectors", 3],
      ]),
    }),
    { words: ["VSTORE.LIST"], resp2: expect.arrayContaining([collection]) },
    step("DROP", [], { resp2: "OK" }),
    step("CARD", [], { error: /^NOCOLLECTION / }),
  ];
}

/**
 * What a client shows of a reply: RESP2's shapes, RESP3's types, or, as a client that speaks RESP3 and translates its
 * types back, the arrays of RESP3 with the texts of RESP2.
 */
export type Shows = 2 | 3 | "arrays of 3";

export function expectedReply({ words, resp2, resp3 = resp2 }: Step, shows: Shows): unknown {
  if (shows === "arrays of 3") return words[0] === "VSTORE.SEARCH" ? withTexts(resp3) : resp2;
  return shows === 2 ? resp2 : resp3;
}

function withTexts(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(withTexts);
  return typeof reply === "number" ? String(reply) : reply;
}

/** Sends every step; a client without RESP3 types is asked for RESP2's whatever it speaks. */
export async function take(
  steps: readonly Step[],
  shows: Shows,
  send: (words: Word[]) => Promise<unknown>,
): Promise<void> {
  for (const step of steps) {
    const reply = send(step.words);
    if (step.error) await expect(reply).rejects.toThrow(step.error);
    else expect(asPairs(await reply), step.words.join(" ")).toEqual(expectedReply(step, shows));
  }
}

/** Maps, or the objects that stand for them, as arrays of pairs. */
export function asPairs(reply: unknown): unknown {
  if (typeof reply !== "object" || reply === null) return reply;
  if (Array.isArray(reply)) return reply.map(asPairs);
  return Object.entries(reply).map(([key, value]) => [key, asPairs(value)]);
}
