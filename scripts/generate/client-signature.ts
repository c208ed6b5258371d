/** What the grammar of a command is in TypeScript: parameters, options, and the words that are made of both. */
import type { ArgumentNode } from "../../src/commands/grammar/syntax.ts";

export interface Member {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
  readonly comment?: string;
}

export interface Signature {
  readonly parameters: readonly Member[];
  readonly options: readonly Member[];
  /** Expressions, each one word or spread; those of the options come last. */
  readonly parameterWords: readonly string[];
  readonly optionWords: readonly string[];
}

/** One option or parameter, and the expression of its words. */
interface Part extends Member {
  readonly words: string;
  readonly isOption: boolean;
}

/** @param always tokens that are no options here, as the client always gives them */
export function signatureOf(nodes: readonly ArgumentNode[], always: readonly string[]): Signature {
  const isOption = ({ token }: ArgumentNode) => token === undefined || !always.includes(token);
  const parts = nodes.flatMap((node, i) => (isOption(node) ? partsOf(node, nodes[i - 1], nodes[i + 1]) : []));
  const parameters = parts.filter(({ isOption }) => !isOption);
  const options = parts.filter(({ isOption }) => isOption);
  const wordsOf = (some: readonly Part[]) => some.map(({ words }) => words);
  return { parameters, options, parameterWords: wordsOf(parameters), optionWords: wordsOf(options) };
}

function partsOf(node: ArgumentNode, before?: ArgumentNode, next?: ArgumentNode): Part[] {
  if (isCounter(node, next)) return [];
  if (isVector(node)) return [before?.type === "integer" ? vectorsPart : vectorPart(node)];
  if (node.token === undefined && node.type !== "oneof") return [positional(node, before)];
  const list = node.arguments?.find(({ multiple, token }) => multiple && token === undefined);
  if (list !== undefined) return [positional({ ...list, optional: true }), ...besides(node, list)];
  return optionParts(node, "options");
}

/** Options that may be given instead of a list. */
function besides({ arguments: forms = [] }: ArgumentNode, list: ArgumentNode): Part[] {
  return forms
    .filter((form) => form !== list)
    .flatMap(({ arguments: members = [] }) => members)
    .flatMap((member) => optionParts({ ...member, optional: true }, "options"));
}

/** An integer that says how many values follow it: the list knows. */
function isCounter(node: ArgumentNode, next: ArgumentNode | undefined): boolean {
  const isList = next?.multiple === true || next?.token === "FP32";
  return node.type === "integer" && node.token === undefined && isList;
}

/** Behind their number. */
const vectorsPart: Part = {
  name: "queries",
  type: "readonly Vector[]",
  words: "...countedVectors(queries)",
  optional: false,
  isOption: false,
};

function isVector(node: ArgumentNode): boolean {
  return node.token === "FP32" || (node.arguments ?? []).some(({ token }) => token === "FP32");
}

function vectorPart(node: ArgumentNode): Part {
  const part = { optional: false, isOption: false };
  if (node.token === "FP32")
    return { ...part, name: "vectors", type: "Vector", words: '"FP32", fp32(vectors)' };
  const forms = node.arguments?.flatMap((form) => (form.token ? [form] : (form.arguments ?? [form])));
  const takesKey = forms?.some(({ token }) => token === "KEY");
  if (takesKey) return { ...part, name: "query", type: "Query", words: "...queryWords(query)" };
  return { ...part, name: "vector", type: "Vector", words: '"FP32", fp32(vector)' };
}

function positional({ name, type, multiple, optional }: ArgumentNode, before?: ArgumentNode): Part {
  const part = { isOption: false, optional: optional === true };
  if (type === "key") return { ...part, name, type: "C", words: optional ? `...oneOf(${name})` : name };
  if (name === "cursor") return { ...part, name, type: "Text", words: "text(cursor)" };
  if (name === "json")
    return { ...part, name: "attributes", type: "S[C] | null", words: "jsonText(attributes)" };
  const variable = camelCase(multiple ? `${name}s` : name);
  if (multiple) {
    const token = before?.token === undefined ? "" : `"${before.token}", `;
    const isCounted = before?.type === "integer";
    const given = optional ? `(${variable} ?? [])` : variable;
    const words = isCounted ? `${token}...counted(${variable})` : `...${given}.map(text)`;
    return { ...part, name: variable, type: "readonly Text[]", words };
  }
  const isNumber = type === "integer" || type === "double";
  const word = isNumber ? `String(${variable})` : `text(${variable})`;
  const words = optional ? `...(${variable} === undefined ? [] : [${word}])` : word;
  return { ...part, name: variable, type: isNumber ? "number" : "Text", words };
}

/** @param owner the variable that has the options */
function optionParts(node: ArgumentNode, owner: string): Part[] {
  const part = { isOption: true, optional: node.optional === true };
  const commented = { ...part, ...commentOf(node) };
  const { token } = node;
  if (token === undefined && node.arguments === undefined) return [bareValue(node, owner)];
  if (token === undefined) return alternatives(node, owner);
  const name = node.name === "json" ? "attributes" : optionName(node);
  const value = `${owner}.${name}`;
  if (node.type === "pure-token") {
    return [{ ...commented, name, type: "boolean", words: `...flag("${token}", ${value})` }];
  }
  if (node.type === "block") return [{ ...part, name, ...blockOf(node, token, value) }];
  if (node.name === "json") return [{ ...commented, name, ...attributesOf(node, token, value) }];
  if (node.multiple) {
    return [{ ...commented, name, type: "readonly Text[]", words: `...afterAll("${token}", ${value})` }];
  }
  return [{ ...commented, name, type: valueType(node), words: `...after("${token}", ${value})` }];
}

/** A value right after the token of its block. */
function bareValue(node: ArgumentNode, owner: string): Part {
  const name = camelCase(node.name);
  const type = valueType(node);
  const words = `${type === "number" ? "String" : "text"}(${owner}.${name})`;
  return { name, type, words, isOption: true, optional: node.optional === true };
}

/** Forms without a token in front: words like NX | XX are one option, EX seconds | PX milliseconds are two. */
function alternatives(node: ArgumentNode, owner: string): Part[] {
  const forms = node.arguments ?? [];
  if (!forms.every(({ type }) => type === "pure-token"))
    return forms.flatMap((form) => optionParts({ ...form, optional: true }, owner));
  const name = camelCase(node.name);
  const words = `...oneOf(${owner}.${name})`;
  const part = { isOption: true, optional: node.optional === true, ...commentOf(node) };
  return [{ ...part, name, type: tokensOf(node), words }];
}

function blockOf(node: ArgumentNode, token: string, value: string): Pick<Part, "type" | "words"> {
  const parts = (node.arguments ?? []).flatMap((inner) => optionParts(inner, camelCase(token)));
  const members = parts.map(({ name, type, optional }) => `readonly ${name}${optional ? "?" : ""}: ${type}`);
  const words = parts.map(({ words }) => words).join(", ");
  return {
    type: `{ ${members.join("; ")} }`,
    words: `...block("${token}", ${value}, (${camelCase(token)}) => [${words}])`,
  };
}

function attributesOf(
  { multiple }: ArgumentNode,
  token: string,
  value: string,
): Pick<Part, "type" | "words"> {
  return multiple
    ? { type: "readonly (A & object)[]", words: `...jsonOfAll("${token}", ${value})` }
    : { type: "A & object", words: `...json("${token}", ${value})` };
}

function valueType(node: ArgumentNode): string {
  if (node.type === "oneof") return tokensOf(node);
  return node.type === "integer" || node.type === "double" ? "number" : "Text";
}

function tokensOf({ arguments: words = [] }: ArgumentNode): string {
  return words.map(({ token }) => `"${token}"`).join(" | ");
}

function commentOf({ expects, byDefault }: ArgumentNode): { comment?: string } {
  const comment = [expects, byDefault && `default: ${byDefault}`].filter(Boolean).join("; ");
  return comment === "" ? {} : { comment };
}

/** The token's: `EF_CONSTRUCTION` is efConstruction, `WITHATTRS` withAttrs. */
function optionName({ token, type }: ArgumentNode): string {
  const split =
    type === "pure-token" ? token!.replace(/^WITH(?=.)/, "WITH_") : token!.replace("ASOF", "AS_OF");
  return camelCase(split.toLowerCase());
}

function camelCase(name: string): string {
  return name.toLowerCase().replaceAll(/[-_](.)/g, (_, letter: string) => letter.toUpperCase());
}
