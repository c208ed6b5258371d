/** The results of a search as a reply: keys, or pairs of a key and its details. */
import type { AttributesRoom, Hit } from "../../engine/hits.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Context } from "../command.ts";
import { roomFor, textsBytes } from "../wire/answer-size.ts";
import { Double, type Reply, ValueOf, WithFields } from "../wire/reply.ts";

export interface Wanted {
  readonly withDistances?: true | undefined;
  readonly withAttributes?: true | undefined;
  readonly withValues?: true | undefined;
  /** Of hashes that are values, only these. */
  readonly fields?: readonly Uint8Array[] | undefined;
}

export function replyOf(hits: readonly Hit[], wanted: Wanted): Reply {
  const keys = hits.map((hit) => hit.key);
  const details = [
    wanted.withDistances && hits.map((hit) => new Double(hit.distance)),
    wanted.withAttributes && hits.map((hit) => hit.attributes ?? null),
    wanted.withValues && keys.map((each) => new ValueOf(each)),
  ].filter((each) => each !== undefined);
  if (details.length === 0) return keys;
  const reply: Reply = keys.map((each, i) => [each, detailsOf(details, i)]);
  return wanted.fields === undefined ? reply : new WithFields(wanted.fields, reply);
}

/** Of a search that may lack the results of some parts. */
export function partialReply(reply: Reply, missing: readonly string[]): Reply {
  const results = reply instanceof WithFields ? reply.reply : reply;
  const all = new Map<string, Reply>([
    ["results", results],
    ["missing", [...missing]],
  ]);
  return reply instanceof WithFields ? new WithFields(reply.fields, all) : all;
}

/** Room in memory for the attributes of a search's results; undefined when none are wanted. */
export function attributesRoom(
  context: Context,
  { withAttributes }: Wanted,
  results: number,
): AttributesRoom | undefined {
  return withAttributes && ((bytes) => roomFor(context, textsBytes(results, bytes)));
}

export function assertValues({ fields, withValues }: Wanted, { canShowValues }: Context): void {
  if (fields !== undefined && !withValues) throw new VstoreError("ERR", "'FIELDS' needs 'WITHVALUES'");
  const { fieldsMax } = limits;
  if (fields !== undefined && fields.length > fieldsMax) {
    throw new VstoreError("ERR", `'FIELDS' must be at most ${fieldsMax} fields, got ${fields.length}`);
  }
  // The module does not know the rights of a stream client, which can read the keys by itself.
  if (withValues && !canShowValues)
    throw new VstoreError("ERR", "'WITHVALUES' needs a client of Redis whose rights the module knows");
}

/** Of one hit, from the columns of all: the only one is not wrapped. */
function detailsOf(columns: readonly (readonly Reply[])[], hit: number): Reply {
  const row = columns.map((column) => column[hit]!);
  return row.length === 1 ? row[0]! : row;
}
