/**
 * Tokens: how far a collection is, as VSTORE.TOKEN answers it and ASOF takes it. Opaque to clients. A token names the
 * CREATE of the collection, because a collection that was dropped and created again has another log, and the last entry
 * of the log that was applied. A checksum over these and the name tells a token of another collection.
 */
import type { Catalog } from "../engine/catalog.ts";
import type { Collection } from "../engine/collection.ts";
import { checksumText, crc32 } from "../engine/disk/checksum.ts";
import { compareIds, ID_PATTERN } from "../engine/log-id.ts";
import { VstoreError } from "../errors.ts";
import { echo, latin1 } from "./grammar/bytes.ts";

/** Bytes of a token with the largest ids. */
const tokenBytesMax = 3 + 2 * 42 + 8;
/** Begins every token, so that a later form of them can be told apart. */
const version = "t1";

export interface Token {
  /** Id of the CREATE in vstore:control. */
  readonly created: string;
  /** Of the collection's log, or that of the CREATE while nothing was written. */
  readonly applied: string;
}

export function tokenOf({ name, createdId, position }: Collection): string {
  return encodeToken(name, { created: createdId, applied: position });
}

export function encodeToken(name: string, { created, applied }: Token): string {
  return [version, created, applied, checksumOf(name, created, applied)].join(".");
}

/** @throws {VstoreError} ERR: it is no token of a collection of this name */
export function decodeToken(name: string, bytes: Uint8Array): Token {
  const text = bytes.length <= tokenBytesMax ? latin1(bytes) : "";
  const [form, created = "", applied = "", checksum] = text.split(".");
  const isWhole = form === version && ID_PATTERN.test(created) && ID_PATTERN.test(applied);
  if (!isWhole || checksum !== checksumOf(name, created, applied))
    throw new VstoreError(
      "ERR",
      `'ASOF' must be a token that VSTORE.TOKEN answered for collection '${name}', got ${echo(bytes)}`,
    );
  return { created, applied };
}

/**
 * Whether all that the token names is applied. A later CREATE than that of the files may come still.
 *
 * @throws {VstoreError} ERR: the collection that the token is of was dropped
 */
export function isReached({ name, createdId, position }: Collection, { created, applied }: Token): boolean {
  const incarnation = compareIds(created, createdId);
  if (incarnation < 0)
    throw new VstoreError(
      "ERR",
      `the token of 'ASOF' is of an earlier collection '${name}', which was dropped; ask VSTORE.TOKEN again`,
    );
  return incarnation === 0 && compareIds(applied, position) <= 0;
}

/**
 * @param name of the collection
 * @throws {VstoreError} BEHIND, when what the token names is not applied yet; ERR, NOCOLLECTION
 */
export function assertReached(catalog: Catalog, name: Uint8Array, bytes: Uint8Array): void {
  const collection = catalog.get(latin1(name));
  const { position } = collection;
  const token = decodeToken(collection.name, bytes);
  if (isReached(collection, token)) return;
  throw new VstoreError(
    "BEHIND",
    `collection '${collection.name}' is applied up to ${position} here, the token asks for ${token.applied}`,
  );
}

function checksumOf(name: string, created: string, applied: string): string {
  return checksumText(crc32(Buffer.from(`${name}\0${created}\0${applied}`, "latin1")));
}
