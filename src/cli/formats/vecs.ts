/** .fvecs, .bvecs and .ivecs: before the components of each vector their number, all little-endian. */
import type { Row } from "../../bridge/transfer/row.ts";
import { limits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteTarget } from "./byte-target.ts";
import { type Choice, type Format, type Input, type Output, type Page, RowFault } from "./format.ts";

const blockBytes = 1024 * 1024;
const headBytes = 4;
/** Beyond it not every whole number is a float32. */
const exactMax = 2 ** 24;

interface Component {
  readonly bytes: number;
  /** Of components that begin at a multiple of four. */
  floats(buffer: ArrayBufferLike, offset: number, count: number): Float32Array;
  /** Undefined where every float32 is one. */
  readonly range?: readonly [min: number, max: number];
  write(into: Buffer, value: number, offset: number): void;
}

const components: Record<"f" | "b" | "i", Component> = {
  f: {
    bytes: 4,
    floats: (buffer, offset, count) => new Float32Array(buffer, offset, count),
    write: (into, value, offset) => into.writeFloatLE(value, offset),
  },
  b: {
    bytes: 1,
    floats: (buffer, offset, count) => Float32Array.from(new Uint8Array(buffer, offset, count)),
    range: [0, 255],
    write: (into, value, offset) => into.writeUInt8(value, offset),
  },
  i: {
    bytes: 4,
    floats: (buffer, offset, count) => Float32Array.from(new Int32Array(buffer, offset, count)),
    range: [-exactMax, exactMax],
    write: (into, value, offset) => into.writeInt32LE(value, offset),
  },
};

export function vecs(letter: keyof typeof components): Format {
  const component = components[letter];
  return {
    endings: [`.${letter}vecs`],
    hasKeys: false,
    read: (source, choice) => read(source, choice, component),
    write: (target, { dimensions }) => write(target, dimensions, component),
  };
}

async function read(source: ByteReader, { keys, skip }: Choice, component: Component): Promise<Input> {
  const head = await source.read(headBytes);
  source.unread(head);
  const isEmpty = head.length < headBytes;
  const dimensions = isEmpty ? 0 : head.readInt32LE();
  if ((!isEmpty && dimensions < 1) || dimensions > limits.dimensionsMax)
    throw new Error(`the first vector claims ${dimensions} components; is the format right?`);
  const rowBytes = headBytes + dimensions * component.bytes;
  const rowsAtOnce = Math.max(1, Math.floor(blockBytes / rowBytes));
  async function* pages(): AsyncGenerator<Page> {
    await source.skip(skip * rowBytes);
    for (let position = skip; ; position += rowsAtOnce) {
      const block = await source.read(rowsAtOnce * rowBytes);
      const count = Math.floor(block.length / rowBytes);
      const names = await keys.take(position, count);
      yield names.map((key, i): Row => {
        const at = position + i;
        assertCount(block.readInt32LE(i * rowBytes), dimensions, at + 1);
        const vector = component.floats(
          block.buffer,
          block.byteOffset + i * rowBytes + headBytes,
          dimensions,
        );
        return { position: at, place: at + 1, key, vector };
      });
      if (block.length % rowBytes !== 0) throw new Error(`the input ends inside row ${position + count + 1}`);
      if (count < rowsAtOnce) return;
    }
  }
  const rows = source.size === undefined ? {} : { rows: Math.floor(source.size / rowBytes) };
  return { ...(isEmpty ? {} : { dimensions }), ...rows, unit: "row", says: `keys: ${keys.says}`, pages };
}

/** What follows a row of another length cannot be found. */
function assertCount(count: number, dimensions: number, row: number): void {
  if (count !== dimensions)
    throw new Error(`row ${row} claims ${count} components, not ${dimensions} as the first`);
}

function write(target: ByteTarget, dimensions: number, component: Component): Output {
  return {
    write(row) {
      assertRange(row, component);
      const bytes = Buffer.allocUnsafe(headBytes + dimensions * component.bytes);
      bytes.writeInt32LE(dimensions);
      for (const [i, value] of row.vector.entries())
        component.write(bytes, value, headBytes + i * component.bytes);
      return target.write(bytes);
    },
    finish: async () => {},
  };
}

function assertRange({ vector }: Row, { range }: Component): void {
  if (range === undefined) return;
  const [min, max] = range;
  const stray = vector.find(
    (value) => !Number.isInteger(value) || value < min || value > max || Object.is(value, -0),
  );
  if (stray !== undefined) throw new RowFault(`${stray} is no whole number from ${min} to ${max}`);
}
