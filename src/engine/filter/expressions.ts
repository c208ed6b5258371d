/** The expressions that were used last, so that the same text is parsed once and means the same object. */
import { Expression } from "./expression.ts";

const EXPRESSIONS_MAX = 256;

/** The least recently used comes first. */
const known = new Map<string, Expression>();

/** @throws {VstoreError} ERR that names the position; LIMIT */
export function expressionOf(text: string): Expression {
  const expression = known.get(text) ?? new Expression(text);
  known.delete(text);
  known.set(text, expression);
  if (known.size > EXPRESSIONS_MAX) known.delete(known.keys().next().value!);
  return expression;
}
