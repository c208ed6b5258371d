/**
 * The reply of a command, before it is bytes. The shapes are RESP3's; a RESP2 client gets Redis' own
 * translation of them (a map becomes a flat array, a double a bulk string).
 *
 * null → nil · boolean → # · number → integer · Double → , · Status → + · string and bytes → bulk ·
 * array → array · Float32Array → array of doubles · Map → map · ValueOf → what the module puts there
 */
export type Reply =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Float32Array
  | Double
  | Status
  | ValueOf
  | WithFields
  | Reply[]
  | ReplyMap;

export type ReplyMap = Map<string | Uint8Array, Reply>;

/** A floating point number; a plain `number` is an integer reply. */
export class Double {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** A simple string such as OK. */
export class Status {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Stands for the value of the key of this name in Redis. The module reads it, with the rights of the client, and puts
 * it here.
 */
export class ValueOf {
  readonly key: Uint8Array;
  constructor(key: Uint8Array) {
    this.key = key;
  }
}

/** A reply in which the values of hashes are only these fields. It is not within another reply. */
export class WithFields {
  readonly fields: readonly Uint8Array[];
  readonly reply: Reply;
  constructor(fields: readonly Uint8Array[], reply: Reply) {
    this.fields = fields;
    this.reply = reply;
  }
}

export const OK = new Status("OK");
