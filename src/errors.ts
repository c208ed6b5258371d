/**
 * The errors vstore raises on purpose. The code never changes once released: it is the first word of the
 * Redis error reply, and client libraries branch on it. The message may be improved at any time.
 */
export const errorCodes = {
  ERR: "an argument or a call is wrong",
  NOCOLLECTION: "no collection of that name exists",
  COLLECTIONEXISTS: "a collection of that name exists already",
  NOKEY: "the collection has no such key",
  UNSUPPORTED: "an option that is planned and not built; there is none today",
  LIMIT: "a named limit would be exceeded",
  FULL: "the disk has no room for the write",
  DAMAGED: "a file of the data directory is not what was written",
  LOCKED: "another process uses the data directory",
  BEHIND: "this sidecar has not applied yet what the token of ASOF names",
  LOST: "what carried the write went while it waited; it may have been applied or not",
  PARTDOWN: "a part of a collection with SHARDS did not answer; the message names it",
  TRYAGAIN: "the request was not applied and may be sent again as it is",
} as const;

/** Those that the module raises by itself, for the documentation. */
export const moduleErrorCodes = {
  VSTOREDOWN: "no sidecar is attached; nothing was sent",
  TIMEOUT: "no answer in time; the message says whether the write is in the log",
  BUSY: "too many requests wait, or a stream has reached vstore.log-max-bytes",
  NOREPLICAS: "fewer followers are in step than a write needs (--sync-followers); nothing was changed",
  NOPERM: "the ACL does not let the user do or see this",
  WRONGTYPE: "the key of a request stream holds something else",
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** An expected failure with a stable code. Anything else that is thrown is a bug. */
export class VstoreError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "VstoreError";
    this.code = code;
  }
}

/** The file at `path` is damaged at byte `offset`. */
export class DamagedFileError extends VstoreError {
  readonly path: string;
  readonly offset: number;
  readonly what: string;

  constructor(path: string, offset: number, what: string) {
    super("DAMAGED", `${path} at byte ${offset}: ${what}`);
    this.name = "DamagedFileError";
    this.path = path;
    this.offset = offset;
    this.what = what;
  }
}
