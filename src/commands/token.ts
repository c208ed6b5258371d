/**
 * Tokens: how far a collection is, as VSTORE.TOKEN answers it and ASOF takes it. Opaque to clients. A token names the
 * CREATE of the collection, because a collection that was dropped and created again has another log, the last entry of
 * the log that was applied, and the timeline of the log: a server that lacks some entries gives their places to others.
 * A checksum over these and the name tells a token of another collection.
 */
import type { Catalog } from "../engine/catalog.ts";
import type { Collection } from "../engine/collection.ts";
import { checksumText, crc32 } from "../engine/disk/checksum.ts";
import { compareIds, ID_PATTERN } from "../engine/log-id.ts";
import { VstoreError } from "../errors.ts";
import { echo, latin1 } from "./grammar/bytes.ts";

/** Bytes of a token with the largest ids. */
const tokenBytesMax = 3 + 2 * 42 + 2 * 9;
/** Begins every token, so that a later form of them can be told apart. */
const version = "t2";
const timelinePattern = /^[0-9a-f]{1,8}$/;

/** What is known of the timelines of the logs. */
export interface Timelines {
  readonly current: string;
  /** The last entry of an earlier timeline that the collection has; undefined when that is not known. */
  endOf(collection: string, timeline: string): string | undefined;
}

/** Without a Redis there is only one. */
const onlyTimeline: Timelines = { current: "0", endOf: () => undefined };

export interface Token {
  /** Id of the CREATE in vstore:control. */
  readonly created: string;
  /** Of the collection's log, or that of the CREATE while nothing was written. */
  readonly applied: string;
  readonly timeline: string;
}

export function tokenOf({ name, createdId, position }: Collection, timelines = onlyTimeline): string {
  return encodeToken(name, { created: createdId, applied: position, timeline: timelines.current });
}

export function encodeToken(name: string, token: Token): string {
  const { created, applied, timeline } = token;
  return [version, created, applied, timeline, checksumOf(name, token)].join(".");
}

/** @throws {VstoreError} ERR: it is no token of a collection of this name */
export function decodeToken(name: string, bytes: Uint8Array): Token {
  const text = bytes.length <= tokenBytesMax ? latin1(bytes) : "";
  const [form, created = "", applied = "", timeline = "", checksum] = text.split(".");
  const areIds = ID_PATTERN.test(created) && ID_PATTERN.test(applied);
  const isWhole = form === version && areIds && timelinePattern.test(timeline);
  if (!isWhole || checksum !== checksumOf(name, { created, applied, timeline }))
    throw new VstoreError(
      "ERR",
      `'ASOF' must be a token that VSTORE.TOKEN answered for collection '${name}', got ${echo(bytes)}`,
    );
  return { created, applied, timeline };
}

/**
 * Whether all that the token names is applied. A later CREATE than that of the files may come still.
 *
 * @throws {VstoreError} ERR: the collection that the token is of was dropped, or what it names may be lost
 */
export function isReached(
  { name, createdId, position }: Collection,
  { created, applied, timeline }: Token,
  timelines = onlyTimeline,
): boolean {
  const incarnation = compareIds(created, createdId);
  if (incarnation < 0)
    throw new VstoreError(
      "ERR",
      `the token of 'ASOF' is of an earlier collection '${name}', which was dropped; ask VSTORE.TOKEN again`,
    );
  if (incarnation !== 0) return false;
  if (timeline !== timelines.current) assertKept(name, applied, timelines.endOf(name, timeline));
  return compareIds(applied, position) <= 0;
}

/** @param end up to where the token's timeline is kept */
function assertKept(name: string, applied: string, end: string | undefined): void {
  if (end !== undefined && compareIds(applied, end) <= 0) return;
  const known = end === undefined ? "nothing is known to be kept" : `it is kept up to ${end}`;
  throw new VstoreError(
    "ERR",
    `the token of 'ASOF' names ${applied} of '${name}' from before a fail-over, and ${known}; ask VSTORE.TOKEN again`,
  );
}

/**
 * @param name of the collection
 * @throws {VstoreError} BEHIND, when what the token names is not applied yet; ERR, NOCOLLECTION
 */
export function assertReached(
  catalog: Catalog,
  name: Uint8Array,
  bytes: Uint8Array,
  timelines?: Timelines,
): void {
  const collection = catalog.get(latin1(name));
  const { position } = collection;
  const token = decodeToken(collection.name, bytes);
  if (isReached(collection, token, timelines)) return;
  throw new VstoreError(
    "BEHIND",
    `collection '${collection.name}' is applied up to ${position} here, the token asks for ${token.applied}`,
  );
}

function checksumOf(name: string, { created, applied, timeline }: Token): string {
  return checksumText(crc32(Buffer.from(`${name}\0${created}\0${applied}\0${timeline}`, "latin1")));
}
