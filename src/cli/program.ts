/**
 * The commands of the program and their arguments; the files beside do what they say. Results go to stdout, the log to
 * stderr. Exit codes: 0 done, or stopped in order; 1 failed, damaged, or told to stop twice; 2 bad arguments or
 * settings; 141 an export whose reader has left. A command's file is loaded when it is run, so that the help comes at
 * once.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { tooFewFiles } from "../open-files.ts";
import { dropOutputOfClosedPipes, exitCodeOf, exitCodes, isClosedPipe, tool } from "./exit.ts";
import { formatNames } from "./formats/format.ts";
import {
  describeSetting,
  flagOf,
  type Setting,
  type SettingName,
  settingNames,
  settings,
  variableOf,
  variablesOfKubernetes,
} from "./settings.ts";
import { defaultUrl } from "./transfer/address.ts";

async function main(): Promise<void> {
  const program = new Command("vstore")
    .description("A vector store for the Redis or Valkey you already run")
    .version(packageVersion())
    .exitOverride();
  addServe(program);
  addReaders(program);
  addCopiers(program);
  addPromote(program);
  addImport(program);
  addExport(program);
  program
    .command("module")
    .description("show where the Redis module is and how to load it; builds it first if necessary")
    .option("--print-path", "print the path and nothing else")
    .action(lazy(async () => (await import("./module.ts")).runModule));
  program
    .command("doctor")
    .description("check this machine, and a Redis if one is named, and say what to change")
    .addOption(optionOf("redis_url"))
    .addOption(optionOf("data_dir"))
    .action(lazy(async () => (await import("./doctor.ts")).runDoctor));
  await program.parseAsync();
}

/** An action whose file is loaded when it is run. */
function lazy<Args extends unknown[]>(load: () => Promise<(...args: Args) => Promise<number>>) {
  return tool(async (...args: Args) => (await load())(...args));
}

function addServe(program: Command): void {
  // Before commander reads the environment.
  const ignored = variablesOfKubernetes(process.env);
  for (const name of ignored) delete process.env[name];
  const serving = program
    .command("serve")
    .description("run the sidecar, with a Redis of its own if none is named");
  for (const name of settingNames) serving.addOption(optionOf(name));
  serving.option("--sample", "load 10,000 word vectors into the collection 'words' before it is ready");
  serving.addHelpText("after", serveExamples);
  serving.action(async (flags) => {
    const { runServe } = await import("./serve.ts");
    await runServe(serving.getOptionValueSource.bind(serving), flags, ignored);
  });
}

const serveExamples = `
Examples:
  vstore serve                                        with a Redis of its own on port 6379
  vstore serve --redis-url redis://cache.local:6379   beside a Redis that has the module loaded
  vstore serve --redis-url rediss://cache.local:6379 --tls-ca ca.pem
  vstore serve --redis-url redis+unix:///run/redis/redis.sock`;

/** Commander reads the environment, checks choices and shows both in the help; the rest is checked by readSettings. */
function optionOf(name: SettingName): Option {
  const setting: Setting = settings[name];
  const option = new Option(`${flagOf(name)} <${setting.value}>`, describeSetting(name)).env(
    variableOf(name),
  );
  if (setting.choices !== undefined) option.choices(setting.choices);
  if (setting.default !== undefined) option.default(setting.default);
  return option;
}

function addReaders(program: Command): void {
  program
    .command("verify <data-dir>")
    .description("check everything in the files of a stopped sidecar, or of a backup; changes nothing")
    .option("--json", "report as JSON")
    .action(lazy(async () => (await import("./verify.ts")).runVerify));
  program
    .command("inspect <data-dir>")
    .description("show what is in the files, also while the sidecar serves; changes nothing")
    .option("--keys <count>", "show that many keys of each collection too")
    .option("--json", "report as JSON")
    .action(lazy(async () => (await import("./inspect.ts")).runInspect));
}

function addPromote(program: Command): void {
  const url = new Option("--redis-url <url>", "the Redis that vstore serves").env(variableOf("redis_url"));
  program
    .command("promote")
    .description("have the sidecar that leads hand over to a follower, while clients go on")
    .addOption(url.default(defaultUrl))
    .action(lazy(async () => (await import("./promote.ts")).runPromote));
}

function addCopiers(program: Command): void {
  program
    .command("backup <data-dir> <target-dir>")
    .description("copy the last checkpoint to a new directory, also while the sidecar serves")
    .option("--redis-url <url>", "ask the sidecar behind that Redis for a checkpoint first")
    .action(lazy(async () => (await import("./copies/backup.ts")).runBackup));
  program
    .command("restore <backup-dir> <data-dir>")
    .description("copy a backup to a new data directory")
    .action(lazy(async () => (await import("./copies/restore.ts")).runRestore));
}

function addImport(program: Command): void {
  const importing = program
    .command("import <collection> [file]")
    .description("put the vectors of a file, or of standard input (-), into a collection");
  addTransferOptions(importing);
  importing
    .option("--key <column>", "column of the keys; without it 'key' or 'id', else rows are numbered")
    .option(
      "--vector <column>",
      "column of the vectors, or several as in 'v*'; without it 'vector' or 'embedding'",
    )
    .option(
      "--attributes <columns>",
      "columns that become attributes, or * for all others; without it 'attributes'",
    )
    .option("--no-expire-times", "leave the column 'expires_at_ms' out: keys do not expire")
    .option("--key-prefix <text>", "text before every key")
    .option("--keys <file>", "keys of rows that have none, one on each line")
    .option("--create", "create the collection if it is not there")
    .addOption(new Option("--metric <metric>", "metric of a new collection").choices(["COSINE", "L2", "IP"]))
    .option("--connections <count>", "connections that insert at the same time (default: 8)")
    .option("--max-errors <count>", "bad rows that are passed over before the import stops (default: 0)")
    .option("--resume <file>", "keep there how far it is; the same command continues after an interruption")
    .option("--skip <rows>", "rows at the beginning to pass over")
    .option("--from-redis <url>", "instead of a file: read that Redis, with --prefix or --vector-set")
    .option(
      "--prefix <text>",
      "prefix of the keys of its hashes, as RediSearch indexes them; --vector names the field",
    )
    .option("--vector-set <key>", "a vector set of Redis 8")
    .option("--from-pgvector <url>", "instead of a file: read that PostgreSQL, with --table")
    .option("--table <name>", "a table or view with a column of pgvector's type; --vector names it")
    .option("--from-qdrant <url>", "instead of a file: read that Qdrant, with --collection")
    .option("--collection <name>", "a collection of Qdrant; --vector names one of several vectors")
    .option("--dry-run", "read and check everything, and write nothing")
    .addHelpText("after", importExamples)
    .action(lazy(async () => (await import("./transfer/import.ts")).runImport));
}

const importExamples = `
Examples:
  vstore import docs base.fvecs --create --metric L2 --key-prefix doc:
  vstore import docs films.parquet --key id --vector embedding --attributes title,year
  zcat films.jsonl.gz | vstore import docs - --format jsonl --max-errors 100
  vstore import docs big.npy --resume big.state
  vstore import docs --from-redis redis://old:6379 --prefix doc: --vector embedding --attributes title,year
  vstore import docs --from-pgvector postgres://user@old/shop --table docs --attributes title,year --create
  vstore import docs --from-qdrant http://old:6333 --collection docs --create`;

function addExport(program: Command): void {
  const exporting = program
    .command("export <collection> <file>")
    .description("write the vectors of a collection to a file, or to standard output (-)");
  addTransferOptions(exporting);
  exporting
    .option("--keys <file>", "write the keys there, one on each line, for a format that has none")
    .option("--filter <expression>", "only keys whose attributes match, like FILTER of SEARCH")
    .option("--no-attributes", "leave the attributes out")
    .option("--no-expire-times", "leave out when keys expire")
    .option("--max-errors <count>", "rows that the format cannot hold before the export stops (default: 0)")
    .option("--force", "replace the file if it exists")
    .action(lazy(async () => (await import("./transfer/export.ts")).runExport));
}

function addTransferOptions(command: Command): void {
  const url = new Option("--redis-url <url>", "the Redis that vstore serves").env(variableOf("redis_url"));
  command.addOption(url.default(defaultUrl));
  for (const name of ["tls_ca", "tls_cert", "tls_key"] as const) command.addOption(optionOf(name));
  command.option("--format <name>", `${formatNames.join(", ")}; without it the file's ending decides`);
}

function packageVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return JSON.parse(manifest).version;
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.badUse;
  if (isClosedPipe(error)) return exitCodes.closedPipe;
  const isOutOfFiles = (error as NodeJS.ErrnoException).code === "EMFILE";
  process.stderr.write(`vstore: ${isOutOfFiles ? tooFewFiles() : (error as Error).message}\n`);
  return exitCodeOf(error);
}

dropOutputOfClosedPipes();
try {
  await main();
} catch (error) {
  process.exitCode = report(error);
}
