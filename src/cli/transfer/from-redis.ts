/** The input of `vstore import --from-redis`: hashes as RediSearch indexes them, or a vector set of Redis 8. */
import { type Hash, readHashes } from "../../bridge/transfer/read-hashes.ts";
import { readVectorSet } from "../../bridge/transfer/read-vector-set.ts";
import type { Row } from "../../bridge/transfer/row.ts";
import { UseError } from "../exit.ts";
import { typedJson } from "../formats/cells.ts";
import { type Cells, Columns } from "../formats/columns.ts";
import { type Choice, type Input, type Page, pageOf, RowFault } from "../formats/format.ts";

/** The key of the hash itself, which no field is called. */
const keyColumn = "\0key";

/** The fields of the first hashes are those of all. @throws UseError when there is no hash */
export async function hashes(url: string, prefix: string, choice: Choice): Promise<Input> {
  const read = readHashes(url, prefix);
  const first = await read.next();
  if (first.done) throw new UseError(`--from-redis has no hash whose key begins with '${prefix}'`);
  const fields = new Set(first.value.flatMap((hash) => [...hash.fields.keys()]));
  const columns = new Columns([keyColumn, ...fields], { ...choice, key: choice.key ?? keyColumn });
  async function* pages(): AsyncGenerator<Page> {
    let position = 0;
    for (let { value, done } = first; !done; { value, done } = await read.next()) {
      const rows = (value as Hash[]).map((hash) => ({ hash, position: position++ }));
      yield pageOf(
        rows,
        ({ position }) => ({ position, place: position + 1 }),
        ({ hash }) => columns.row(new HashCells(hash), undefined),
      );
    }
  }
  return { unit: "row", says: columns.says.replace(keyColumn, "the hash's own"), pages };
}

class HashCells implements Cells {
  readonly #hash: Hash;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  cell(column: string): unknown {
    if (column === keyColumn) return this.#hash.key;
    const bytes = this.#hash.fields.get(column);
    return column === "attributes" ? bytes?.toString() : bytes;
  }

  json(column: string): string | undefined {
    const text = this.#hash.fields.get(column)?.toString();
    if (text?.includes("\ufffd")) throw new RowFault(`'${column}' holds bytes, which JSON cannot`);
    return text === undefined ? undefined : typedJson(text);
  }
}

export function vectorSet(url: string, key: string, { keys: { prefix } }: Choice): Input {
  async function* pages(): AsyncGenerator<Page> {
    let position = 0;
    for await (const elements of readVectorSet(url, key)) {
      yield elements.map(({ name, vector, attributes }): Row => {
        const key = prefix === "" ? name : Buffer.concat([Buffer.from(prefix), name]);
        return { position: position++, place: position, key, vector, attributes };
      });
    }
  }
  return { unit: "row", says: `elements of the vector set '${key}'`, pages };
}
