/**
 * Error replies as classes. Each has the `code` that the reply begins with; docs/commands.md lists the codes. Errors of
 * the connection itself (closed, refused, timed out) are passed on as they are.
 */

/** An error reply whose code has no class of its own here, and the base of all other classes. */
export class VstoreError extends Error {
  /** The first word of the reply: `ERR`, `NOCOLLECTION`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** `ERR`: an argument or a call is wrong. */
export class ArgumentError extends VstoreError {}
/** `NOCOLLECTION`: no collection of that name exists. */
export class NoCollectionError extends VstoreError {}
/** `COLLECTIONEXISTS`: a collection of that name exists already. */
export class CollectionExistsError extends VstoreError {}
/** `NOKEY`: the collection has no such key. */
export class NoKeyError extends VstoreError {}
/** `UNSUPPORTED`: documented, but not built yet. */
export class UnsupportedError extends VstoreError {}
/** `LIMIT`: a named limit would be exceeded. */
export class LimitError extends VstoreError {}
/** `FULL`: the disk has no room for the write. */
export class FullError extends VstoreError {}
/** `DAMAGED`: a file does not match its checksum or format. */
export class DamagedError extends VstoreError {}
/** `NOPERM`: the user's ACL does not allow it. */
export class PermissionError extends VstoreError {}
/** `TIMEOUT`: no answer in time. The message says whether a write is in the log and so will be applied. */
export class TimeoutError extends VstoreError {}
/**
 * `VSTOREDOWN`, `BUSY`, `TRYAGAIN`, `BEHIND`, `NOREPLICAS` or `LOADING`: nothing was applied; the same command may
 * succeed later.
 */
export class TryAgainError extends VstoreError {}
/** `PARTDOWN`: a part of a collection with SHARDS did not answer. The message says whether a write may be applied. */
export class PartDownError extends VstoreError {}
/** `LOST`: what carried the write went while it waited. It may have been applied or not. */
export class LostError extends VstoreError {}
/** This version of the client does not know the reply. */
export class UnreadableReplyError extends VstoreError {
  constructor(message: string) {
    super("UNREADABLE", message);
  }
}

type ErrorClass = new (code: string, message: string, options?: ErrorOptions) => VstoreError;

const classes: Readonly<Record<string, ErrorClass>> = {
  ERR: ArgumentError,
  NOCOLLECTION: NoCollectionError,
  COLLECTIONEXISTS: CollectionExistsError,
  NOKEY: NoKeyError,
  UNSUPPORTED: UnsupportedError,
  LIMIT: LimitError,
  FULL: FullError,
  DAMAGED: DamagedError,
  NOPERM: PermissionError,
  TIMEOUT: TimeoutError,
  VSTOREDOWN: TryAgainError,
  BUSY: TryAgainError,
  TRYAGAIN: TryAgainError,
  BEHIND: TryAgainError,
  NOREPLICAS: TryAgainError,
  LOADING: TryAgainError,
  PARTDOWN: PartDownError,
  LOST: LostError,
};

/** An error reply as its class; any other error as it is. */
export function fromReply(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof VstoreError) return error;
  const [, code, message] = /^([A-Z][A-Z0-9]+) (.*)$/s.exec(error.message) ?? [];
  if (code === undefined || message === undefined) return error;
  return new (classes[code] ?? VstoreError)(code, message, { cause: error });
}
