/** redis-cli, as a script uses it: the tour as lines on its standard input, and what it prints for people. */
import { execFileSync, spawnSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { asPairs, expectedReply, tour, type Word } from "../clients/tour.ts";
import { fp32 } from "../harness/fp32.ts";

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});

afterAll(() => vstore?.stop());

const onPort = (args: string[]) => ["-p", String(vstore.port), ...args];

const run = (...args: string[]): string => execFileSync("redis-cli", onPort(args), { encoding: "utf8" });

/** One line of output for each command. */
function runLines(options: string[], commands: Word[][]): string[] {
  const input = commands.map((words) => words.map(quoted).join(" ")).join("\n");
  const output = execFileSync("redis-cli", onPort(options), { input, encoding: "utf8" });
  return output.split("\n").filter((line) => line !== "");
}

/** A word as redis-cli reads it: any byte may be written as \xNN. */
function quoted(word: Word): string {
  const escaped = Buffer.from(word).toString("hex").replaceAll(/../g, "\\x$&");
  return `"${escaped}"`;
}

describe.each([2, 3] as const)("RESP%i", (protocol) => {
  test("takes the tour", () => {
    const steps = tour("toured");
    const lines = runLines(
      [`-${protocol}`, "--json"],
      steps.map(({ words }) => words),
    );
    expect(lines).toHaveLength(steps.length);
    for (const [i, step] of steps.entries()) {
      if (step.error) expect(JSON.parse(lines[i]!.replace(/^error:/, ""))).toMatch(step.error);
      else expect(asPairs(JSON.parse(lines[i]!))).toEqual(expectedReply(step, protocol));
    }
  });

  test("a transaction and a script", () => {
    const lua = "return redis.call('VSTORE.INSERT', KEYS[1], ARGV[1], 'VALUES', 2, ARGV[2], ARGV[3])";
    const lines = runLines(
      [`-${protocol}`],
      [
        ["VSTORE.CREATE", "docs", "DIM", "2"],
        ["MULTI"],
        ["SET", "title:a", "A"],
        ["VSTORE.INSERT", "docs", "a", "FP32", fp32(1, 2)],
        ["EXEC"],
        ["EVAL", lua, "1", "docs", "b", "3", "4"],
        ["VSTORE.CARD", "docs"],
        ["VSTORE.DROP", "docs"],
      ],
    );
    const queued = expect.stringMatching(/^QUEUED \d+-\d+$/);
    expect(lines).toEqual(["OK", "OK", "QUEUED", "QUEUED", "OK", queued, queued, "2", "OK"]);
  });
});

describe("one command at a time", () => {
  beforeEach(() => {
    run("VSTORE.CREATE", "words", "DIM", "2", "METRIC", "L2", "NX");
    run("VSTORE.INSERT", "words", "king", "VALUES", "2", "1", "0");
    run("VSTORE.INSERT", "words", "queen", "VALUES", "2", "1", "2");
  });

  test("a search prints keys and distances in turn", () => {
    const search = ["VSTORE.SEARCH", "words", "KEY", "king", "COUNT", "6", "WITHDISTANCES"];
    expect(run(...search)).toBe("king\n0\nqueen\n2\n");
    expect(run("-3", "--no-raw", ...search)).toBe(
      '1) 1) "king"\n   2) (double) 0\n2) 1) "queen"\n   2) (double) 2\n',
    );
  });

  test("the last argument may come from a file", () => {
    const args = onPort(["-x", "VSTORE.INSERT", "words", "piped", "FP32"]);
    expect(execFileSync("redis-cli", args, { input: fp32(7, 0.5), encoding: "utf8" })).toBe("1\n");
    expect(run("VSTORE.GET", "words", "piped")).toBe("7\n0.5\n");
    expect(run("VSTORE.DEL", "words", "piped")).toBe("1\n");
  });

  test("a pipe of raw commands is answered one for one", () => {
    const commands = Array.from(
      { length: 200 },
      (_, i) => `VSTORE.INSERT words k${i % 20} VALUES 2 ${i} 9\r\n`,
    );
    const output = execFileSync("redis-cli", onPort(["--pipe"]), {
      input: commands.join(""),
      encoding: "utf8",
    });
    expect(output).toContain("errors: 0, replies: 200");
    expect(run("VSTORE.CARD", "words")).toBe("22\n");
  });

  test("an error is printed, and with -e the program fails", () => {
    const { status, stderr } = spawnSync("redis-cli", onPort(["-e", "VSTORE.CARD", "nobody"]), {
      encoding: "utf8",
    });
    expect(stderr).toMatch(/^NOCOLLECTION .*'nobody'/);
    expect(status).not.toBe(0);
  });

  test("its own help knows the commands of the module", () => {
    const help = runLines([], [["COMMAND", "DOCS", "VSTORE.INSERT"]]);
    expect(help).toContain(
      "Inserts a vector under a key, or replaces the key's vector, and its expiry unless KEEPTTL is given.",
    );
  });
});
