/**
 * The words that the module puts behind those of a client, see PROTOCOL.md, Caches: it alone sees the value, and names
 * the entry. A client cannot write them: the last ones of a request are always the module's.
 */
import { VstoreError } from "../../errors.ts";
import type { Arguments } from "../grammar/arguments.ts";
import { latin1 } from "../grammar/bytes.ts";

const mark = "ENTRY";

export type ModuleWords<T> = T & { readonly added: readonly Uint8Array[] };

/** Arguments that end with the mark and so many words of the module. They are in no documentation. */
export function endingWithEntry<T extends object>(
  inner: Arguments<T>,
  count: number,
): Arguments<ModuleWords<T>> {
  return {
    nodes: inner.nodes,
    parse(cursor) {
      const words = cursor.all.slice(-(count + 1));
      if (words.length <= count || latin1(words[0]!) !== mark) throw withoutModule();
      cursor.leaveLast(count + 1);
      const input = inner.parse(cursor);
      return Object.assign(input, { added: words.slice(1) });
    },
  };
}

export function withoutModule(): VstoreError {
  return new VstoreError("ERR", "commands of caches need a client of Redis, whose values the module stores");
}
