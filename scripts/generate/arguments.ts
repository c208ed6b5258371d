/** What is said of a command's arguments, one after the other: in docs/commands.md and by VSTORE.HELP. */
import type { ArgumentNode } from "../../src/commands/grammar/syntax.ts";

export interface ArgumentFact {
  /** The token of what has one, with the name of its value. */
  readonly title: string;
  readonly says: string;
}

export function argumentFacts(node: ArgumentNode): ArgumentFact[] {
  if (node.expects === undefined && node.token === undefined)
    return (node.arguments ?? []).flatMap(argumentFacts);
  const inner = node.type === "block" ? (node.arguments ?? []).flatMap(argumentFacts) : [];
  const expects = node.expects ?? (node.type === "block" ? "" : choice(node));
  if (expects === "") return inner;
  const byDefault = node.byDefault === undefined ? "" : `; default: ${node.byDefault}`;
  return [{ title: titleOf(node), says: expects + byDefault }, ...inner];
}

function titleOf(node: ArgumentNode): string {
  if (node.type === "pure-token") return node.token ?? node.name;
  const name = node.type === "oneof" ? choice(node).replaceAll(", ", " | ") : node.name;
  return [node.token, name].filter(Boolean).join(" ");
}

function choice(node: ArgumentNode): string {
  return (node.arguments ?? [])
    .map((alternative) => alternative.token)
    .filter(Boolean)
    .join(", ");
}
