/** Vectors of one dimension as rows of one array, and their files: the plain float32, row-major. */
import * as fs from "node:fs";

export interface Matrix {
  readonly rows: number;
  readonly dimensions: number;
  /** Shape (rows x dimensions). */
  readonly data: Float32Array;
}

export function matrix(data: Float32Array, dimensions: number): Matrix {
  return { rows: data.length / dimensions, dimensions, data };
}

/** A view on some of the rows. */
export function slice({ data, dimensions }: Matrix, from: number, to: number): Matrix {
  return matrix(data.subarray(from * dimensions, to * dimensions), dimensions);
}

export function row(of: Matrix, index: number): Float32Array {
  return slice(of, index, index + 1).data;
}

/** The rows as bytes, without a copy. */
export function bytesOf({ data }: Matrix): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

export function readMatrix(path: string, dimensions: number): Matrix {
  const data = new Float32Array(fs.statSync(path).size / Float32Array.BYTES_PER_ELEMENT);
  fillFromFile(path, Buffer.from(data.buffer));
  return matrix(data, dimensions);
}

/** Appears under its name only when it is whole. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  fs.writeFileSync(`${path}.tmp`, bytes);
  fs.renameSync(`${path}.tmp`, path);
}

function fillFromFile(path: string, buffer: Buffer): void {
  const file = fs.openSync(path, "r");
  try {
    for (let at = 0; at < buffer.length; ) at += fs.readSync(file, buffer, at, buffer.length - at, at);
  } finally {
    fs.closeSync(file);
  }
}
