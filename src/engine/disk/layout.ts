/**
 * Magic, version, sizes and offsets of every file in a collection's directory; constants only. FORMAT.md says
 * in words what stands here in numbers. All integers are little-endian.
 */

/** Raised whenever a reader of the old version would misread the new one. */
export const FORMAT_VERSION = 1;
/** Of a manifest that says how large its first segment is; without that it is FORMAT_VERSION. */
export const SIZED_MANIFEST_VERSION = 2;
/** Of a manifest that names checksums of pages. */
export const PAGED_MANIFEST_VERSION = 3;
/** Of manifests that say which timeline of the logs their files are on. */
export const LINEAGE_MANIFEST_VERSION = 4;

/** Header page of a segment; the rows follow it. */
export const SEGMENT_HEADER = {
  bytes: 4096,
  magic: "VSTORVEC",
  /** Byte offsets of the fields; each is a uint32 but the magic (8 ASCII bytes) and fileBytes (float64). */
  at: {
    magic: 0,
    version: 8,
    dimensions: 12,
    metric: 16,
    number: 20,
    firstSlot: 24,
    capacity: 28,
    fileBytes: 32,
    /** CRC-32 of the bytes before it. */
    checksum: 40,
  },
} as const;

/**
 * Segment n has min(first << n, last) bytes, its header page included. The manifest says which first one; where it does
 * not, as in its version 1, it is `first`. A new collection begins with the smallest from `firstMin` on that has room
 * for some rows.
 */
export const SEGMENT_BYTES = { firstMin: 1 << 16, first: 1 << 20, last: 256 << 20 } as const;
export const FIRST_SEGMENT_ROWS_MIN = 8;

/** Bytes of one vector component (float32). */
export const COMPONENT_BYTES = 4;

/** The rows of a segment in pages, each with a checksum of its own; the last page of a segment may be shorter. */
export const PAGE_BYTES = 1 << 14;
/** pages.crc: a header as of the logs below, then a CRC-32 (uint32) for each page. */
export const PAGES_MAGIC = "VSTORPAG";
export const PAGE_CHECKSUM_BYTES = 4;

/** Header of keys.log, attributes.log and pages.crc. */
export const LOG_HEADER = {
  bytes: 16,
  at: {
    /** 8 ASCII bytes, one of LOG_MAGIC or PAGES_MAGIC. */
    magic: 0,
    version: 8,
    /** CRC-32 of the bytes before it. */
    checksum: 12,
  },
} as const;

export const LOG_MAGIC = { keys: "VSTORKEY", attributes: "VSTORATT" } as const;

/** One record of a log: this header, then the payload. */
export const RECORD_HEADER = {
  bytes: 12,
  at: {
    /** CRC-32 of the rest of the header and the payload. */
    checksum: 0,
    slot: 4,
    /** Payload bytes in the low 24 bits, RECORD_KIND in the high 8. */
    lengthAndKind: 8,
  },
  payloadBytesMax: 0xff_ffff,
} as const;

export const RECORD_KIND = {
  /** keys.log: the payload is the key whose vector is in the slot from now on. */
  put: 1,
  /** keys.log: no payload; the slot's key and vector are dead. */
  remove: 2,
  /** attributes.log: the payload is the slot's JSON from now on; empty: it has none. */
  attributes: 3,
  /** keys.log: the payload is when the slot's key expires, in ms since 1970 (float64); 0: it does not. */
  deadline: 4,
} as const;

/** Header of a file of columns; frames follow it. */
export const COLUMNS_HEADER = {
  bytes: 16,
  magic: "VSTORCOL",
  /** Byte offsets; 4 bytes of zeros follow the version. */
  at: { magic: 0, version: 8 },
} as const;

/** One frame of a file of columns: this header, then the payload. */
export const FRAME_HEADER = {
  bytes: 16,
  at: {
    /** One of FRAME_KIND. */
    kind: 0,
    /** Number of the field, in the order of the file. */
    field: 4,
    /** Of codes and numbers: their page, which has PAGE_SLOTS slots. */
    page: 8,
    /** Bytes of the payload. */
    length: 12,
  },
} as const;

export const FRAME_KIND = {
  /** The codes of a page: one byte each, or a uint16 each. */
  byteCodes: 1,
  wideCodes: 2,
  /** The numbers of a page, float64; NaN where the code counts. */
  numbers: 3,
  /** Some values of the field's dictionary, in order, as a JSON array. */
  values: 4,
  /** The field, as JSON: its name, and how often it got a value that is not kept. The last frame of the field. */
  field: 5,
  /** The slots that have attributes, one bit each, lowest first. */
  documents: 6,
  /** JSON: whether fields were left out. The last frame. */
  end: 7,
} as const;

/** Payload of a deadline. */
export const DEADLINE_BYTES = 8;

export const MANIFEST_FORMAT = "vstore-collection";
export const CONTROL_FORMAT = "vstore-data";
export const BACKUP_FORMAT = "vstore-backup";
export const ARRIVAL_FORMAT = "vstore-arrival";

/** Metrics by the number that a segment header stores. */
export const METRIC_NUMBER = { COSINE: 1, L2: 2, IP: 3 } as const;
