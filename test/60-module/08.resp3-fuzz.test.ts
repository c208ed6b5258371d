import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const sources = fileURLToPath(new URL("../../redis", import.meta.url));

test("damaged replies make the reader neither crash nor read beyond them", () => {
  const directory = mkdtempSync(join(tmpdir(), "vstore-fuzz-"));
  try {
    const program = join(directory, "fuzz");
    const flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fno-sanitize-recover=all"];
    const sanitizers = "-fsanitize=address,undefined";
    const files = ["answers/resp3_fuzz.c", "answers/resp3.c"];
    execFileSync("cc", [...flags, "-I.", sanitizers, ...files, "-o", program], { cwd: sources });
    const [, mutations, accepted] = /^(\d+) mutations, (\d+) accepted/.exec(
      execFileSync(program, { encoding: "utf8" }),
    )!;
    expect(Number(accepted)).toBeGreaterThan(0);
    expect(Number(accepted)).toBeLessThan(Number(mutations));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
