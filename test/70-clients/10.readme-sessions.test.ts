/**
 * The sessions that the README and the guide show, typed into redis-cli from the first to the last as a reader would:
 * they print what it says.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { connectClient, until } from "../harness/serving.ts";

const PROMPT = "127.0.0.1:6379> ";
/** How far a distance may be from the page's: its last digits depend on the processor. */
const TOLERANCE = 1e-12;

interface Block {
  readonly lines: readonly string[];
  /** The last line of the text before it. */
  readonly lead: string;
}

interface Step {
  readonly command: string;
  readonly output: string;
}

const pages = ["README.md", "docs/guide.md"].map((path) =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8"),
);

/** All code blocks of the section; it ends with the next heading. */
function blocksOf(section: string): Block[] {
  const heading = new RegExp(`\n#+ ${section}\n`);
  const page = pages.find((each) => heading.test(each));
  if (page === undefined) throw new Error(`no page has the section '${section}'`);
  const text = page.slice(page.search(heading) + 1).split(/\n#+ /)[0]!;
  return [...text.matchAll(/([^\n]*)\n\n```\n(.*?)```\n/gs)].map(([, lead, lines]) => ({
    lead: lead!,
    lines: lines!.trimEnd().split("\n"),
  }));
}

function stepsOf({ lines }: Block): Step[] {
  return lines
    .join("\n")
    .split(PROMPT)
    .slice(1)
    .map((step) => {
      const [command, ...output] = step.trimEnd().split("\n");
      return { command: command!, output: output.join("\n") };
    });
}

let vstore: Vstore;
let redis: Redis;

beforeAll(async () => {
  vstore = await startVstore();
  redis = connectClient(vstore.url);
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});

/** What it prints on a terminal, but for the time that it adds to what took half a second. */
function type(...lines: string[]): string {
  const args = ["-p", String(vstore.port), "--no-raw"];
  const output = execFileSync("redis-cli", args, { input: lines.join("\n"), encoding: "utf8" });
  return output.replaceAll(/^\(\d+\.\d+s\)\n/gm, "").trimEnd();
}

/** The page's output itself where the other one differs from it in nothing but last digits. */
function asShown(shown: string, printed: string): string {
  const decimal = /-?\d+\.\d+(?:e-?\d+)?/g;
  const numbers = [...shown.matchAll(decimal)].map(Number);
  let at = 0;
  const rest = printed.replace(decimal, (text) => {
    const near = Math.abs(Number(text) - numbers[at++]!) <= TOLERANCE;
    return near ? "number" : text;
  });
  return rest === shown.replace(decimal, "number") ? shown : printed;
}

function play(block: Block): void {
  for (const { command, output } of stepsOf(block)) {
    const printed = asShown(output, type(command));
    expect(`${PROMPT}${command}\n${printed}`).toBe(`${PROMPT}${command}\n${output}`);
  }
}

test("every session is one of those below", () => {
  const sections = ["redis-cli", "Caching and search in one place"].flatMap(blocksOf);
  const steps = sections.flatMap(stepsOf);
  expect(steps.length).toBe(pages.join("").split(PROMPT).length - 1);
  expect(steps.length).toBeGreaterThan(15);
});

test("redis-cli", () => {
  blocksOf("redis-cli").forEach(play);
});

test("In one transaction with your data: both are there", () => {
  const [transaction] = blocksOf("In one transaction with your data");
  const [hset, insert] = type(...transaction!.lines)
    .split("\n")
    .slice(-2);
  expect([hset, insert]).toEqual(["1) (integer) 2", expect.stringMatching(/^2\) QUEUED \d+-\d+$/)]);
  const [, collection, key] = transaction!.lines[2]!.split(" ");
  expect(type(`VSTORE.EXISTS ${collection} ${key}`)).toBe("(integer) 1");
  expect(type(`EXISTS ${key}`)).toBe("(integer) 1");
});

test("Caching and search in one place", async () => {
  for (const block of blocksOf("Caching and search in one place")) {
    // Asking for the key itself would have Redis find out; so it does by itself, as it does for a reader.
    if (block.lead === "Two seconds later:")
      await until(
        () => redis.call("VSTORE.EXISTS", "articles", "doc:2"),
        (count) => count === 0,
      );
    play(block);
  }
});
