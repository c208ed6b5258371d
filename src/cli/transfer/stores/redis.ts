/** The input of `vstore import --from-redis`: hashes as RediSearch indexes them, or a vector set of Redis 8. */
import { type Hash, readHashes } from "../../../bridge/transfer/read-hashes.ts";
import { readVectorSet } from "../../../bridge/transfer/read-vector-set.ts";
import type { Row } from "../../../bridge/transfer/row.ts";
import { UseError } from "../../exit.ts";
import { typedJson } from "../../formats/cells.ts";
import { type Cells, Columns } from "../../formats/columns.ts";
import { type Choice, type Input, type Page, pageOf, RowFault } from "../../formats/format.ts";
import { type Mark, Marks } from "../marks.ts";

/** The key of the hash itself, which no field is called. */
const keyColumn = "\0key";

/** The fields of the first hashes are those of all. @throws UseError when there is no hash */
export async function hashes(url: string, prefix: string, choice: Choice): Promise<Input> {
  const beginning = readHashes(url, prefix);
  const begin = await beginning.next();
  await beginning.return(undefined);
  if (begin.done) throw new UseError(`--from-redis has no hash whose key begins with '${prefix}'`);
  const { hashes: first, server } = begin.value;
  const fields = new Set(first.flatMap((hash) => [...hash.fields.keys()]));
  const columns = new Columns([keyColumn, ...fields], { ...choice, key: choice.key ?? keyColumn });
  const { goesOn = { position: 0, text: undefined } } = choice;
  const marks = new Marks(goesOn);
  const from = cursorOf(goesOn, server);
  async function* pages(): AsyncGenerator<Page> {
    let position = goesOn.position;
    for await (const page of readHashes(url, prefix, from)) {
      const rows = page.hashes.map((hash) => ({ hash, position: position++ }));
      if (page.next !== "0") marks.add(position, `${server} ${page.next}`);
      yield pageOf(
        rows,
        ({ position }) => ({ position, place: position + 1 }),
        ({ hash }) => columns.row(new HashCells(hash), undefined),
      );
    }
  }
  return { unit: "row", says: columns.says.replace(keyColumn, "the hash's own"), marks, pages };
}

/** @throws UseError when the server has been started since: then it has its keys in another order */
function cursorOf({ text }: Mark, server: string): string {
  if (text === undefined) return "0";
  const [before, cursor] = text.split(" ");
  if (before === server) return cursor!;
  throw new UseError(
    "--resume: that Redis was started again since, and has its keys in another order; remove the file and begin anew",
  );
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

export function vectorSet(url: string, key: string, { keys, goesOn }: Choice): Input {
  const begin = goesOn ?? { position: 0, text: undefined };
  const marks = new Marks(begin);
  async function* pages(): AsyncGenerator<Page> {
    let position = begin.position;
    for await (const elements of readVectorSet(url, key, Buffer.from(begin.text ?? "", "hex"))) {
      if (elements.length > 0) marks.add(position, elements[0]!.name.toString("hex"));
      yield elements.map(({ name, vector, attributes }): Row => {
        const key = keys.prefixed(name);
        return { position: position++, place: position, key, vector, attributes };
      });
    }
  }
  return { unit: "row", says: `elements of the vector set '${key}'`, marks, pages };
}
