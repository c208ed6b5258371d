/**
 * VSTORE.WAIT: waits until writes with NOWAIT are applied. Like every read it sees all writes that were in the log when
 * it was sent, so it only has to count the refused ones.
 */
import { compareIds, FIRST_ID } from "../../engine/log-id.ts";
import { VstoreError } from "../../errors.ts";
import { define } from "../command.ts";
import {
  type Arguments,
  afterToken,
  collection,
  optional,
  options,
  sequence,
  value,
} from "../grammar/arguments.ts";
import { logId } from "../grammar/values.ts";

/** @param id of a write: an entry of the log, or where the collection has parts what names one of each */
export function waitArguments<T>(id: Arguments<T>) {
  const lastId = optional(id);
  const upTo: Arguments<T | undefined> = {
    ...lastId,
    parse: (cursor) => (cursor.isAt("SINCE") ? undefined : lastId.parse(cursor)),
  };
  return sequence({ collection, id: upTo, options: options({ since: afterToken("SINCE", id) }) });
}

export const wait = define({
  name: "WAIT",
  summary:
    "Waits until all writes of a collection that are in its log are applied, and counts the refused ones.",
  complexity: "O(E), E being the entries of the errors stream, a thousand at most",
  route: "queries",
  aboutSidecar: true,
  long: true,
  args: waitArguments(value("id", "string", logId)),
  reply:
    "the id of the last entry that is applied; how many of the writes up to id (without it, all), since that of SINCE, were " +
    "refused when their client did not wait; the error of the first of them, or nil",
  replyType: "[applied: string, refused: number, reason: Text | null]",
  async run({ catalog, refusals }, { collection: name, id: last, options: { since = FIRST_ID } }) {
    const { position } = catalog.get(name);
    if (last !== undefined && compareIds(last, position) > 0)
      throw new VstoreError(
        "ERR",
        `'id' must not be after ${position}, the last entry of the log, got ${last}`,
      );
    const isAskedFor = (entry: string) =>
      compareIds(entry, since) >= 0 && (last === undefined || compareIds(entry, last) <= 0);
    const refused = ((await refusals?.(name)) ?? []).filter((each) => isAskedFor(each.id));
    return [position, refused.length, refused[0]?.reason ?? null];
  },
});
