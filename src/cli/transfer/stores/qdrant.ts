/**
 * The input of `vstore import --from-qdrant`: the points of a collection, by Qdrant's HTTP API. An id is a whole number
 * of 64 bits or a UUID, and becomes the key; the payload becomes the attributes. Both keep the text that they have
 * there, because JSON.parse would round numbers of many digits.
 */
import { UseError } from "../../exit.ts";
import { vectorOf } from "../../formats/cells.ts";
import { type Choice, type Input, type Page, pageOf, RowFault } from "../../formats/format.ts";
import { elements, members } from "../../formats/json-members.ts";
import { type Mark, Marks } from "../marks.ts";
import { PageSize } from "./page-size.ts";

const answerMsMax = 60_000;

/** @throws UseError when there is no such collection */
export async function qdrant(url: string, collection: string, choice: Choice): Promise<Input> {
  if (choice.key !== undefined)
    throw new UseError("--from-qdrant takes the ids of the points as keys, not --key");
  const scroll = `${url.replace(/\/+$/, "")}/collections/${encodeURIComponent(collection)}/points/scroll`;
  await request(scroll, { limit: "1" }).catch((error: Error) => {
    throw new UseError(`--from-qdrant: ${error.message}`);
  });
  const attributes =
    choice.attributes?.includes("*") === false ? choice.attributes.join(", ") : "the payload";
  const says = `key: the point's id; vector: ${choice.vector ?? "the only one"}; attributes: ${attributes}`;
  const { goesOn = { position: 0, text: undefined } } = choice;
  const marks = new Marks(goesOn);
  return { unit: "row", says, marks, pages: () => pages(scroll, choice, goesOn, marks) };
}

/** Points come in the order of their ids, and an offset is the id of the next one. */
async function* pages(scroll: string, choice: Choice, begin: Mark, marks: Marks): AsyncGenerator<Page> {
  const size = new PageSize();
  let { position } = begin;
  for (let offset: string | undefined = begin.text ?? "null"; offset !== undefined; ) {
    marks.add(position, offset);
    const limit = String(size.rows);
    const text: string = await request(scroll, { limit, offset, with_payload: "true", with_vector: "true" });
    const result = members(members(text).get("result")!);
    const points = elements(result.get("points")!);
    const begin = position;
    yield pageOf(
      points.map((point, i) => ({ point: members(point), i })),
      ({ i }) => ({ position: begin + i, place: begin + i + 1 }),
      ({ point }) => rowOf(point, choice),
    );
    position += points.length;
    size.learn(Math.max(1, points.length), text.length);
    const next = result.get("next_page_offset") ?? "null";
    offset = next === "null" ? undefined : next;
  }
}

function rowOf(point: ReadonlyMap<string, string>, { keys, vector, attributes }: Choice) {
  const id: unknown = point.get("id")!.startsWith('"') ? JSON.parse(point.get("id")!) : point.get("id");
  return {
    key: keys.prefixed(String(id)),
    vector: vectorOf(chosen(JSON.parse(point.get("vector") ?? "null"), vector), vector ?? "vector"),
    attributes: attributesOf(point.get("payload") ?? "null", attributes),
  };
}

/** A point has one vector, or several that have names. @throws RowFault when it is not clear which */
function chosen(vector: unknown, name: string | undefined): unknown {
  if (typeof vector !== "object" || vector === null || Array.isArray(vector)) return vector;
  const named = vector as Record<string, unknown>;
  const names = Object.keys(named);
  const wanted = name ?? (names.length === 1 ? names[0]! : undefined);
  if (wanted !== undefined && wanted in named) return named[wanted];
  throw new RowFault(`--vector has to say which vector: there are ${names.join(", ") || "none"}`);
}

function attributesOf(payload: string, wanted: readonly string[] | undefined): string {
  if (payload === "null") return "";
  if (wanted === undefined || wanted.includes("*")) return payload;
  const all = members(payload);
  const found = wanted
    .filter((name) => all.has(name))
    .map((name) => `${JSON.stringify(name)}:${all.get(name)}`);
  return found.length === 0 ? "" : `{${found.join(",")}}`;
}

/** @param body values that are JSON already. @returns the text of the answer. @throws Error that says what is wrong */
async function request(url: string, body: Readonly<Record<string, string>>): Promise<string> {
  const key = process.env.QDRANT_API_KEY;
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key === undefined ? {} : { "api-key": key }) },
    body: `{${Object.entries(body)
      .map(([name, value]) => `"${name}":${value}`)
      .join(",")}}`,
    signal: AbortSignal.timeout(answerMsMax),
  }).catch((error: Error) => {
    throw new Error(
      `${url} cannot be reached: ${(error.cause as Error | undefined)?.message ?? error.message}`,
    );
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${text.slice(0, 500)}`);
  return text;
}
