/**
 * The documentation tree of a command's arguments, in the words of COMMAND DOCS. From it follow the syntax line, the
 * arity and the position of the collection's name. Parsers build it, see arguments.ts.
 */

export type NodeType = "key" | "string" | "integer" | "double" | "pattern" | "pure-token" | "oneof" | "block";

export interface ArgumentNode {
  readonly name: string;
  readonly type: NodeType;
  /** The word that stands before the value, or is all of a pure-token. */
  readonly token?: string;
  readonly optional?: true;
  readonly multiple?: true;
  /** Of multiple: each value has the token before it. */
  readonly multipleToken?: true;
  /** Of oneof and block. */
  readonly arguments?: readonly ArgumentNode[];
  /** What a value must be, for people. */
  readonly expects?: string;
  /** What an option that is not given means, for people. */
  readonly byDefault?: string;
}

/** `VSTORE.GET collection key [RAW]`, in the notation of Redis' own documentation. */
export function syntaxLine(name: string, nodes: readonly ArgumentNode[]): string {
  return [`VSTORE.${name}`, ...nodes.map(syntax)].join(" ");
}

function syntax(node: ArgumentNode): string {
  const value = syntaxOfValue(node);
  const again = node.multipleToken ? [node.token, value].filter(Boolean).join(" ") : value;
  const repeated = node.multiple ? `${value} [${again} ...]` : value;
  const whole = [node.token, repeated].filter(Boolean).join(" ");
  if (node.optional) return `[${whole}]`;
  return node.type === "oneof" && node.token === undefined ? `<${whole}>` : whole;
}

function syntaxOfValue(node: ArgumentNode): string {
  const parts = (node.arguments ?? []).map(syntax);
  if (node.type === "pure-token") return "";
  if (node.type === "block") return parts.join(" ");
  if (node.type !== "oneof") return node.name;
  const choice = parts.join(" | ");
  return node.token === undefined ? choice : `<${choice}>`;
}

/** Redis' arity: the number of words with the command's name; negative when it is only the least number. */
export function arity(nodes: readonly ArgumentNode[]): number {
  const least = 1 + sum(nodes.map(leastWords));
  const most = 1 + sum(nodes.map(mostWords));
  return least === most ? least : -least;
}

function leastWords(node: ArgumentNode): number {
  return node.optional ? 0 : words(node, leastWords, Math.min);
}

function mostWords(node: ArgumentNode): number {
  return node.multiple ? Number.POSITIVE_INFINITY : words(node, mostWords, Math.max);
}

function words(
  node: ArgumentNode,
  count: (node: ArgumentNode) => number,
  choose: (...counts: number[]) => number,
): number {
  const inner = (node.arguments ?? []).map(count);
  const token = node.token === undefined ? 0 : 1;
  if (node.type === "pure-token") return 1;
  if (node.type === "oneof") return token + choose(...inner);
  return token + (node.type === "block" ? sum(inner) : 1);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Where the collection's name stands, the command's name being 0; 0 when the command has none. */
export function keyPosition(nodes: readonly ArgumentNode[]): number {
  return nodes.findIndex((node) => node.type === "key") + 1;
}
