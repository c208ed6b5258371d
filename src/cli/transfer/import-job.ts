/** The task of an import, from its flags. */
import { publicUrl } from "../../bridge/redis/address.ts";
import { limits } from "../../limits.ts";
import { UseError } from "../exit.ts";
import type { Choice, Format, Input } from "../formats/format.ts";
import { formatOf } from "../formats/formats.ts";
import { addressOf, checkedUrl } from "./address.ts";
import { openApart } from "./apart.ts";
import { choiceOf, type FileInput, openFile } from "./file-input.ts";
import type { ImportFlags } from "./import-flags.ts";
import { describeInput, Resume } from "./resume.ts";
import { pgvector } from "./stores/pgvector.ts";
import { qdrant } from "./stores/qdrant.ts";
import { hashes, vectorSet } from "./stores/redis.ts";

const connectionsDefault = 8;
const connectionsMax = 64;

export interface Job {
  readonly url: string;
  readonly collection: string;
  readonly input: Input;
  readonly doesCreate: boolean;
  readonly metric: string | undefined;
  readonly connections: number;
  /** Rows at the beginning that are passed over. */
  readonly skip: number;
  readonly isDryRun: boolean;
  readonly maxErrors: number;
  readonly resume: Resume | undefined;
  /** Whether the rows are another store's. */
  readonly isStore: boolean;
  /** How much of the input has been read when so many of its rows have. */
  share(rows: number): number | undefined;
  close(): Promise<void> | void;
}

/** @throws UseError when the flags do not fit together, or the input is not what they say */
export async function jobOf(collection: string, file: string | undefined, flags: ImportFlags): Promise<Job> {
  const settings = settingsOf(collection, flags);
  const store = storeOf(file, flags);
  if (store === undefined && file === undefined)
    throw new UseError("the file is missing; - is standard input");
  const originOf = () => ({ collection, input: store?.origin ?? describeInput(file!) });
  const resume = flags.resume === undefined ? undefined : new Resume(flags.resume, originOf());
  if (store !== undefined) {
    const goesOn = resume?.read();
    const skip = goesOn?.position ?? 0;
    const opened = await store.open({ ...choiceOf(flags, skip), goesOn });
    return { ...settings, skip, resume, isStore: true, share: () => undefined, ...opened };
  }
  const skip = wholeNumber(flags.skip, "--skip", 0, limits.slotsMax, 0) || (resume?.read().position ?? 0);
  const { input, share: shareOfBytes, close } = await fileInput(file!, flags, skip);
  const share = (rows: number) => (input.rows === undefined ? shareOfBytes() : rows / input.rows);
  return { ...settings, input, skip, resume, isStore: false, share, close };
}

type Opened = Pick<Job, "input" | "close">;

interface Store {
  /** What is read, without passwords. */
  readonly origin: string;
  open(choice: Choice): Promise<Opened>;
}

const stores = {
  "--from-redis": fromRedis,
  "--from-pgvector": fromPgvector,
  "--from-qdrant": fromQdrant,
} as const;

/**
 * Another store, where the flags name one. It has marks to go on at instead of numbers of rows.
 *
 * @throws UseError when the flags do not fit together
 */
function storeOf(file: string | undefined, flags: ImportFlags): Store | undefined {
  const urls = {
    "--from-redis": flags.fromRedis,
    "--from-pgvector": flags.fromPgvector,
    "--from-qdrant": flags.fromQdrant,
  };
  const excluded = { file, "--format": flags.format, "--skip": flags.skip };
  const given = ([, value]: [string, unknown]) => value !== undefined;
  const [named, ...others] = Object.entries(urls).filter(given) as [keyof typeof urls, string][];
  if (named === undefined) return undefined;
  const other = [...others, ...Object.entries(excluded).filter(given)][0]?.[0];
  if (other !== undefined) throw new UseError(`${named[0]} and ${other} exclude each other`);
  return stores[named[0]](named[1], flags);
}

function fromRedis(text: string, { prefix, vectorSet: set }: ImportFlags): Store {
  const url = checkedUrl(text, "--from-redis");
  if ((prefix === undefined) === (set === undefined))
    throw new UseError("--from-redis needs --prefix, for hashes, or --vector-set");
  const what = set === undefined ? `hashes '${prefix}'` : `vector set '${set}'`;
  const inputOf = async (choice: Choice) =>
    set === undefined ? await hashes(url, prefix!, choice) : vectorSet(url, set, choice);
  return {
    origin: `${publicUrl(url)}, ${what}`,
    open: async (choice) => ({ input: await inputOf(choice), close: () => {} }),
  };
}

function fromPgvector(url: string, { table }: ImportFlags): Store {
  if (!/^postgres(ql)?:/.test(url))
    throw new UseError("--from-pgvector must be a URL like postgres://host/database");
  if (table === undefined) throw new UseError("--from-pgvector needs --table");
  return {
    origin: `${withoutPassword(url)}, table ${table}`,
    open: (choice) => pgvector(url, table, choice),
  };
}

function fromQdrant(url: string, { collection }: ImportFlags): Store {
  if (!/^https?:\/\//.test(url)) throw new UseError("--from-qdrant must be a URL like http://127.0.0.1:6333");
  if (collection === undefined) throw new UseError("--from-qdrant needs --collection");
  return {
    origin: `${withoutPassword(url)}, collection '${collection}'`,
    open: async (choice) => ({ input: await qdrant(url, collection, choice), close: () => {} }),
  };
}

/** Of a URL that is none, what is before a password. */
function withoutPassword(text: string): string {
  return text.replace(/(\/\/[^/@]*?):[^/@]*@/, "$1@").replace(/\?.*$/, "");
}

function settingsOf(collection: string, flags: ImportFlags) {
  const isDryRun = flags.dryRun ?? false;
  const errors = isDryRun ? Number.POSITIVE_INFINITY : 0;
  return {
    url: addressOf(flags),
    collection,
    doesCreate: flags.create ?? false,
    metric: flags.metric,
    connections: wholeNumber(flags.connections, "--connections", 1, connectionsMax, connectionsDefault),
    isDryRun,
    maxErrors: wholeNumber(flags.maxErrors, "--max-errors", 0, limits.slotsMax, errors),
  };
}

/** @throws UseError when there is no such file, or it is not what the flags say */
async function fileInput(file: string, flags: ImportFlags, skip: number): Promise<FileInput> {
  const format = formatOf(file, flags.format);
  assertFits(format, flags);
  return format.decodedApartAs !== undefined
    ? openApart(format, { file, flags, skip })
    : openFile(file, flags, skip);
}

function assertFits(format: Format, { keys, key, vector, attributes }: ImportFlags): void {
  const columns = { "--key": key, "--vector": vector, "--attributes": attributes };
  const given = Object.entries(columns).find(([, value]) => value !== undefined);
  if (given !== undefined && !format.hasKeys)
    throw new UseError(`${given[0]} names a column, and this format has none`);
  if (keys !== undefined && format.hasKeys && key !== undefined)
    throw new UseError("--keys and --key exclude each other");
}

/** @throws UseError that names the flag */
export function wholeNumber(
  text: string | undefined,
  flag: string,
  min: number,
  max: number,
  byDefault: number,
): number {
  if (text === undefined) return byDefault;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new UseError(`${flag} must be a whole number from ${min} to ${max}`);
}
