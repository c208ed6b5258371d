/** The rules of the house that a machine can check; CONTRIBUTING.md says why each is there. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const FUNCTION_LINES_MAX = 46;
const FILE_LINES_MAX = 400;
const FOLDER_FILES_MAX = 16;
const PROSE_WIDTH_MAX = 120;

/** Files that a program or a package begins with; every other one is imported by some file. */
const entries = [
  "src/cli.ts",
  "src/index.ts",
  "src/bridge/ingest/thread.ts",
  "src/cli/transfer/apart-thread.ts",
];

const root = fileURLToPath(new URL("../..", import.meta.url));

/** From the outside in. A layer imports from itself and from those after it; the last may be imported by all. */
const layers = ["cli", "http", "bridge", "commands", "engine", "shared"] as const;
type Layer = (typeof layers)[number];

/** Files of src/ itself that do not belong to the program's outermost layer. */
const sharedFiles = ["open-files.ts", "errors.ts", "limits.ts", "log.ts"];

/** Packages that only one place may know. */
const confined: Record<string, (file: string) => boolean> = {
  ioredis: (file) => file.startsWith("src/bridge/"),
  bullmq: (file) => file.startsWith("src/bridge/"),
  "mmap-io": (file) => file === "src/engine/disk/mapping.ts",
  "node-gyp-build": (file) => file === "src/engine/addon.ts",
  "hnswlib-node": (file) => file === "src/engine/index/hnswlib.ts",
  commander: (file) => file === "src/cli/program.ts",
};

const sources = typescriptFiles("src");
const everything = [
  ...sources,
  ...["client", "test", "harness", "bench", "scripts", "examples"].flatMap(typescriptFiles),
];

function typescriptFiles(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.includes("node_modules/"))
    .map((file) => join(directory, file));
}

const read = (file: string): string => readFileSync(join(root, file), "utf8");

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
}

/** What a file imports, in whatever way: import, export from, import(), require(). */
function imports(file: string): string[] {
  return ts.preProcessFile(read(file), true, true).importedFiles.map(({ fileName }) => fileName);
}

function layerOf(file: string): Layer {
  const path = relative("src", file);
  if (sharedFiles.includes(path)) return "shared";
  const directory = dirname(path).split("/")[0]!;
  if (directory === ".") return "cli";
  expect(layers, `src/${directory} is no layer`).toContain(directory);
  return directory as Layer;
}

/** Imports of `file` that point to a layer further out. */
function upwardImports(file: string): string[] {
  const own = layers.indexOf(layerOf(file));
  return targets(file).filter((target) => layers.indexOf(layerOf(target)) < own);
}

/** The files of this repository that `file` imports. */
function targets(file: string): string[] {
  return imports(file)
    .filter((imported) => imported.startsWith("."))
    .map((imported) => relative(root, resolve(root, dirname(file), imported)));
}

/** Chains of imports that lead back to where they began, each as one text. */
function circles(files: readonly string[]): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push([...path.slice(at), file].join(" → "));
    if (at >= 0 || done.has(file)) return;
    for (const target of targets(file)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}

function strayPackages(file: string): string[] {
  return imports(file).filter((name) => confined[name] !== undefined && !confined[name](file));
}

/** `name (lines)` of every function that is too long; arrow functions and methods are functions too. */
function longFunctions(file: string): string[] {
  const source = parse(file);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const lines = ts.isFunctionLike(node) ? lineCount(source, node) : 0;
    if (lines > FUNCTION_LINES_MAX) found.push(`${nameOf(node, source)} (${lines} lines)`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function lineCount(source: ts.SourceFile, node: ts.Node): number {
  const line = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  return line(node.getEnd()) - line(node.getStart(source)) + 1;
}

function nameOf(node: ts.Node, source: ts.SourceFile): string {
  const named = node as ts.NamedDeclaration;
  return (
    named.name?.getText(source) ??
    `function at line ${source.getLineAndCharacterOfPosition(node.pos).line + 1}`
  );
}

/** [file, what is wrong with it] of every file with something wrong. */
function offenders<T>(files: string[], find: (file: string) => T[]): [string, T[]][] {
  return files.map((file): [string, T[]] => [file, find(file)]).filter(([, found]) => found.length > 0);
}

describe("the rules themselves", () => {
  test("see the sources and what they import", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(imports("src/engine/disk/mapping.ts")).toContain("mmap-io");
    expect(imports("src/bridge/redis/job-queue.ts")).toContain("bullmq");
  });
});

describe("imports", () => {
  test("run one way: cli, http, bridge, commands, engine", () => {
    expect(offenders(sources, upwardImports)).toEqual([]);
  });

  test("of Redis clients, BullMQ and mapped files stand where they belong", () => {
    expect(offenders(sources, strayPackages)).toEqual([]);
  });

  test("lead in no circle", () => {
    expect(circles(sources)).toEqual([]);
  });

  test("reach every file of src/, from a program or from the package", () => {
    const imported = new Set(sources.flatMap(targets));
    expect(sources.filter((file) => !imported.has(file))).toEqual(entries);
  });

  test("carry the extension of the file they mean", () => {
    const bare = (file: string) =>
      imports(file).filter((name) => name.startsWith(".") && !name.endsWith(".ts"));
    expect(offenders(everything, bare)).toEqual([]);
  });
});

describe("sources", () => {
  test(`no function has more than ${FUNCTION_LINES_MAX} lines`, () => {
    expect(offenders(sources, longFunctions)).toEqual([]);
  });

  test(`no folder has more than ${FOLDER_FILES_MAX} files`, () => {
    const folders = [...new Set(sources.map(dirname))];
    const count = (folder: string) => sources.filter((file) => dirname(file) === folder).length;
    expect(folders.filter((folder) => count(folder) > FOLDER_FILES_MAX)).toEqual([]);
  });

  test(`no file has more than ${FILE_LINES_MAX} lines`, () => {
    const tooLong = (file: string) =>
      [read(file).split("\n").length - 1].filter((lines) => lines > FILE_LINES_MAX);
    expect(offenders(sources, tooLong)).toEqual([]);
  });

  test("every file begins by saying what it is for", () => {
    const opening = (file: string) =>
      read(file)
        .replace(/^#!.*\n/, "")
        .slice(0, 3);
    const silent = (file: string) => [opening(file)].filter((start) => start !== "/**");
    expect(offenders(sources, silent)).toEqual([]);
  });
});

/** The brackets keep this very line from being found. */
test("nothing is left to do in a comment", () => {
  const marked = (file: string) => read(file).match(/\b(TOD[O]|FIXM[E]|XX[X])\b.*/g) ?? [];
  expect(offenders(everything, marked)).toEqual([]);
});

describe(`no line is wider than ${PROSE_WIDTH_MAX}`, () => {
  const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    .concat(["src/bridge/PROTOCOL.md", "src/engine/FORMAT.md"])
    .concat(readdirSync(join(root, "docs")).map((name) => join("docs", name)))
    // Generated: a command's syntax is one line.
    .filter((file) => file.endsWith(".md") && file !== "docs/commands.md");

  test("in comments", () => {
    const isComment = (line: string) => /^\s*(\/\*|\*|\/\/)/.test(line);
    const generated = ["client/commands.ts"];
    const files = everything.filter((file) => !generated.includes(file));
    expect(offenders(files, (file) => wideLines(read(file)).filter(isComment))).toEqual([]);
  });

  test("in the prose of Markdown; tables and code may be", () => {
    const prose = (file: string) => read(file).replaceAll(/^```.*?^```/gms, "");
    const isTable = (line: string) => line.startsWith("|");
    expect(offenders(pages, (file) => wideLines(prose(file)).filter((line) => !isTable(line)))).toEqual([]);
  });
});

function wideLines(text: string): string[] {
  return text.split("\n").filter((line) => line.length > PROSE_WIDTH_MAX);
}

test("formatting and lint are Biome's", () => {
  expect(complaints("biome", "check", "--colors=off")).toBe("");
});

test("types are right", () => {
  expect(complaints("tsc", "--noEmit")).toBe("");
});

/** What a tool prints when it fails. */
function complaints(tool: string, ...args: string[]): string {
  const program = join(root, "node_modules/.bin", tool);
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  return status === 0 ? "" : `${tool} ended with ${status}:\n${stdout}${stderr}`;
}
