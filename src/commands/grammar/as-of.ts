/**
 * `ASOF token`, which may end every read of a collection. The word counts where it is the last argument but one and the
 * command is whole without the two: some commands have keys or fields to the end of the request, so it has no other
 * place.
 */
import { type Arguments, afterToken, value } from "./arguments.ts";
import { arity } from "./syntax.ts";
import { blob } from "./values.ts";

const asOf = afterToken(
  "ASOF",
  value("token", "string", blob("what VSTORE.TOKEN answered: waits until all of it is applied")),
);
const upperCase = Buffer.from("ASOF");
/** ASOF and its token. */
const words = 2;

/** Arguments that ASOF may end. Their parser passes over it. */
export function endingAsOf<T>(inner: Arguments<T>): Arguments<T> {
  const wordsMin = Math.abs(arity(inner.nodes)) - 1;
  const hasAsOf = (args: readonly Uint8Array[]) =>
    args.length - words >= wordsMin && isAsOf(args[args.length - words]!);
  return {
    nodes: [...inner.nodes, ...asOf.nodes.map((node) => ({ ...node, optional: true as const }))],
    parse(cursor) {
      if (hasAsOf(cursor.all)) cursor.leaveLast(words);
      return inner.parse(cursor);
    },
    asOf: (args) => (hasAsOf(args) ? args.at(-1) : undefined),
  };
}

function isAsOf(word: Uint8Array): boolean {
  return word.length === upperCase.length && upperCase.every((byte, i) => (word[i]! & ~0x20) === byte);
}
