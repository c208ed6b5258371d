/** What is derived from the declarations: the grammar of each command, and the files that are checked in. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { renderAll } from "../../scripts/generate/outputs.ts";
import { arity, keyPosition, syntaxLine } from "../../src/commands/grammar/syntax.ts";
import { commands } from "../../src/commands/registry.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("generated files", () => {
  test.each(renderAll(root).map(({ path, content }) => [path.slice(root.length), path, content]))(
    "%s is what `npm run generate` writes",
    (_, path, content) => {
      expect(readFileSync(path, "utf8")).toBe(content);
    },
  );
});

describe("grammar", () => {
  test.each([
    ["CREATE", -4, 1],
    ["INSERT", -5, 1],
    ["MINSERT", -6, 1],
    ["GET", -3, 1],
    ["MGET", -3, 1],
    ["CARD", -2, 1],
    ["SETATTR", -4, 1],
    ["SEARCH", -4, 1],
    ["INFO", -1, 1],
    ["LIST", 1, 0],
  ])("%s has arity %i and its collection at %i", (name, words, position) => {
    const { nodes } = commands.get(name)!.args;
    expect(arity(nodes)).toBe(words);
    expect(keyPosition(nodes)).toBe(position);
  });

  test("the syntax line follows Redis' notation", () => {
    const syntax = (name: string) => syntaxLine(name, commands.get(name)!.args.nodes);
    expect(syntax("INSERT")).toBe(
      "VSTORE.INSERT collection key <FP32 blob | VALUES count component [component ...]> " +
        "[SETATTR json] [NX | XX] [EX seconds | PX milliseconds | KEEPTTL] [NOWAIT]",
    );
    expect(syntax("MINSERT")).toBe(
      "VSTORE.MINSERT collection count key [key ...] FP32 blob [EX seconds | PX milliseconds | KEEPTTL] [SETATTR json [json ...]] [NOWAIT]",
    );
    expect(syntax("INFO")).toBe("VSTORE.INFO [collection]");
    expect(syntax("LIST")).toBe("VSTORE.LIST");
  });

  test("what a command says of itself is ASCII, as the C table needs it", () => {
    for (const { summary, complexity, args } of commands.values()) {
      expect(summary + complexity + JSON.stringify(args.nodes)).toMatch(/^[ -~]*$/);
    }
  });
});
