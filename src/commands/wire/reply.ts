/**
 * What a command answers, before it is bytes. The shapes are RESP3's; a RESP2 client gets Redis' own
 * translation of them (a map becomes a flat array, a double a bulk string).
 *
 * null → nil · boolean → # · number → integer · Double → , · Status → + · string and bytes → bulk ·
 * array → array · Float32Array → array of doubles · Map → map
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

export const OK = new Status("OK");
