/**
 * The combinators that a command's arguments are made of. Each is one value that knows its documentation
 * (grammar.ts), how it is read (cursor.ts) and, for single values, the zod schema that checks it (values.ts).
 * So the syntax line, COMMAND DOCS, the arity and the parser of a command cannot disagree: they are one thing.
 */
import type { CheckedAttributes } from "../../engine/input.ts";
import { didYouMean } from "../../engine/similar-name.ts";
import { VstoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { echo } from "./bytes.ts";
import { Cursor } from "./cursor.ts";
import { readInteger } from "./numbers.ts";
import type { ArgumentNode, NodeType } from "./syntax.ts";
import {
  attributesBytes,
  attributesJson,
  blob,
  collectionName,
  integer,
  isKey,
  keyBytes,
  readAttributes,
  readCollectionName,
  type Value,
} from "./values.ts";

/** Bytes of the longest word that a known option could be meant by. */
const OPTION_BYTES_MAX = 32;

/** `label` is the name that error messages use; without one it is the argument's own. */
export interface Arguments<T> {
  readonly nodes: readonly ArgumentNode[];
  parse(cursor: Cursor, label?: string): T;
  /** Of all arguments of a read: the token of ASOF among those of a request. */
  readonly asOf?: (args: readonly Uint8Array[]) => Uint8Array | undefined;
  /** The same behind arguments with these tokens, so that one that comes again is called that. */
  readonly behind?: (tokens: readonly Tokens[]) => Arguments<T>;
}

type Tokens = readonly string[];

/** An argument that begins with a token, so that one look at the cursor tells whether it is there. */
export interface TokenArgument<T> extends Arguments<T> {
  /** Upper case. */
  readonly tokens: readonly string[];
}

type Shape = Readonly<Record<string, Arguments<unknown>>>;
type TokenShape = Readonly<Record<string, TokenArgument<unknown>>>;
type ValueOf<A> = A extends Arguments<infer T> ? T : never;
type AllOf<S> = { [K in keyof S]: ValueOf<S[K]> };
type SomeOf<S> = { [K in keyof S]?: ValueOf<S[K]> };
type GivenOf<S> = { [K in keyof S]?: readonly Uint8Array[] };
type OneOf<S> = { [K in keyof S]: { [P in K]: ValueOf<S[K]> } }[keyof S];

/** Reads all of a request's arguments. @throws VstoreError naming the first one that is wrong. */
export function parseArguments<T>(args: Arguments<T>, bytes: readonly Uint8Array[]): T {
  const cursor = new Cursor(bytes);
  const input = args.parse(cursor);
  cursor.end();
  return input;
}

/** One value. */
export function value<T>(name: string, type: NodeType, schema: Value<T>): Arguments<T> {
  const expects = schema.description;
  return {
    nodes: [expects === undefined ? { name, type } : { name, type, expects }],
    parse: (cursor, label = name) => check(schema, cursor.take(label), label),
  };
}

function check<T>(schema: Value<T>, bytes: Uint8Array, label: string): T {
  const result = schema.safeParse(bytes);
  if (result.success) return result.data;
  throw new VstoreError("ERR", `'${label}' must be ${result.error.issues[0]!.message}, got ${echo(bytes)}`);
}

/**
 * The same where nearly all values are read without the schema, which is asked for the words of its refusal: that alone
 * takes longer than all else about some requests.
 *
 * @param read undefined where the schema is to decide
 */
function readily<T>(
  name: string,
  type: NodeType,
  schema: Value<T>,
  read: (bytes: Uint8Array) => T | undefined,
): Arguments<T> {
  return {
    nodes: value(name, type, schema).nodes,
    parse(cursor, label = name) {
      const bytes = cursor.take(label);
      return read(bytes) ?? check(schema, bytes, label);
    },
  };
}

export const collection = readily("collection", "key", collectionName, readCollectionName);
export const key = readily("key", "string", keyBytes, (bytes) => (isKey(bytes) ? bytes : undefined));
const checkedValue = value("json", "string", attributesJson);

/** Kept with what was read to check them. */
export const attributes: Arguments<CheckedAttributes> = {
  nodes: checkedValue.nodes,
  parse: (cursor, label = "json") => checkAttributes(cursor.take(label), label),
};
const attributesValue = value("json", "string", attributesBytes);

/** Checks only their size: checking the contents of many would take too long for one turn of the event loop. */
export const uncheckedAttributes: Arguments<Uint8Array> = {
  nodes: attributesValue.nodes,
  parse(cursor, label = "json") {
    const bytes = cursor.take(label);
    return bytes.length <= limits.attributesBytesMax ? bytes : check(attributesBytes, bytes, label);
  },
};

/** Checks the bytes of `uncheckedAttributes`, of which a request has thousands. @throws VstoreError ERR */
export function checkAttributes(bytes: Uint8Array, label: string): CheckedAttributes {
  return readAttributes(bytes) ?? check(attributesJson, bytes, label);
}

export const vectorBlob = value("blob", "string", blob("little-endian float32, one after the other"));

export function integerValue(name: string, min: number, max: number): Arguments<number> {
  return readily(name, "integer", integer(min, max), (bytes) => {
    const number = readInteger(bytes);
    return number >= min && number <= max ? number : undefined;
  });
}

/** One argument after the other; its value is an object of theirs. */
export function sequence<S extends Shape>(shape: S): Arguments<AllOf<S>> {
  const members = Object.entries(shape).map(([name, member], i, all) => {
    const before = all
      .slice(0, i)
      .flatMap(([, { tokens }]: [string, Partial<TokenArgument<unknown>>]) => (tokens ? [tokens] : []));
    return [name, member.behind?.(before) ?? member] as const;
  });
  return {
    nodes: members.flatMap(([, member]) => member.nodes),
    parse(cursor) {
      const input: Record<string, unknown> = {};
      for (const [name, member] of members) input[name] = member.parse(cursor);
      return input as AllOf<S>;
    },
  };
}

/** The last argument, which may be missing. */
export function optional<T>(inner: Arguments<T>): Arguments<T | undefined> {
  return {
    nodes: inner.nodes.map(asOptional),
    parse: (cursor) => (cursor.left === 0 ? undefined : inner.parse(cursor)),
  };
}

/** An optional argument at this very place; its token says that it is there. */
export function optionally<T>(inner: TokenArgument<T>): Arguments<T | undefined> {
  return {
    nodes: inner.nodes.map(asOptional),
    parse: (cursor) => (isAtOneOf(cursor, inner.tokens) ? inner.parse(cursor) : undefined),
  };
}

function asOptional(node: ArgumentNode): ArgumentNode {
  return { ...node, optional: true };
}

/** One or more of the same, to the end of the request. */
export function many<T>(inner: Arguments<T>, max = Number.POSITIVE_INFINITY): Arguments<T[]> {
  return {
    nodes: inner.nodes.map(asMultiple),
    parse(cursor, label = inner.nodes[0]!.name) {
      if (cursor.left > max)
        throw new VstoreError("ERR", `'${label}' takes at most ${max} values, got ${cursor.left}`);
      const values = [inner.parse(cursor, label)];
      while (cursor.left > 0) values.push(inner.parse(cursor, label));
      return values;
    },
  };
}

function asMultiple(node: ArgumentNode): ArgumentNode {
  return { ...node, multiple: true };
}

/** A number, then as many values: `numkeys key [key ...]`. */
export function counted<T>(name: string, inner: Arguments<T>, max: number): Arguments<T[]> {
  const count = integerValue(name, 1, max);
  return {
    nodes: [...count.nodes, ...inner.nodes.map(asMultiple)],
    parse(cursor, label = name) {
      const expected = count.parse(cursor, label);
      if (expected > cursor.left) {
        throw new VstoreError("ERR", `'${label}' must be followed by ${expected} values, got ${cursor.left}`);
      }
      return Array.from({ length: expected }, () => inner.parse(cursor));
    },
  };
}

/** A token without a value: its presence is the value. */
export function flag(token: string, meaning: string): TokenArgument<true> {
  return {
    nodes: [{ ...pureToken(token), expects: meaning }],
    tokens: [token],
    parse(cursor) {
      expectToken(cursor, token);
      return true;
    },
  };
}

/** Arguments that NOWAIT may end. The module takes it away before it appends the request, so none is left to read. */
export function notWaitedFor<T>(inner: Arguments<T>): Arguments<T> {
  const meaning = "answers once the write is in the log, with the id of its entry";
  const nodes = flag("NOWAIT", meaning).nodes.map(asOptional);
  return { ...inner, nodes: [...inner.nodes, ...nodes] };
}

function pureToken(token: string): ArgumentNode {
  return { name: nameOf(token), type: "pure-token", token };
}

function nameOf(token: string): string {
  return token.toLowerCase().replaceAll("_", "-");
}

function expectToken(cursor: Cursor, token: string): void {
  if (!cursor.skip(token)) throw mismatch(cursor, token, `'${token}' must stand here`);
}

function mismatch(cursor: Cursor, label: string, sentence: string): VstoreError {
  const next = cursor.peek();
  return new VstoreError("ERR", next ? `${sentence}, got ${echo(next)}` : `'${label}' is missing`);
}

function alternatives(tokens: readonly string[]): string {
  return tokens.join(", ").replace(/, ([^,]*)$/, " or $1");
}

/** One word of several; its value is the word in upper case. */
export function word<const W extends readonly string[]>(
  name: string,
  words: W,
  meaning: string,
): TokenArgument<W[number]> {
  return {
    nodes: [{ name, type: "oneof", arguments: words.map(pureToken), expects: meaning }],
    tokens: words,
    parse(cursor, label = name) {
      const found = words.find((candidate) => cursor.skip(candidate));
      if (found === undefined) throw mismatch(cursor, label, `'${label}' must be ${alternatives(words)}`);
      return found;
    },
  };
}

/** A token and the value after it: `COUNT 10`. `byDefault` only documents the default; the command applies it. */
export function afterToken<T>(
  token: string,
  inner: Arguments<T>,
  byDefault?: string | number,
): TokenArgument<T> {
  const node = withToken(token, inner.nodes);
  return {
    nodes: [byDefault === undefined ? node : { ...node, byDefault: String(byDefault) }],
    tokens: [token],
    parse(cursor) {
      expectToken(cursor, token);
      if (cursor.left === 0) throw new VstoreError("ERR", `'${token}' needs a value after it`);
      return inner.parse(cursor, token);
    },
  };
}

/** An option that is read only to be refused with a reason: no documentation and no client has it. */
export function undocumented<T>(inner: TokenArgument<T>): TokenArgument<T> {
  return { ...inner, nodes: [] };
}

function withToken(token: string, nodes: readonly ArgumentNode[]): ArgumentNode {
  const [only, ...others] = nodes;
  if (only !== undefined && others.length === 0) return { ...only, token };
  return { name: nameOf(token), type: "block", token, arguments: nodes };
}

/** Exactly one of several forms; its value is an object with the one member that was given. */
export function oneOf<S extends TokenShape>(name: string, shape: S): TokenArgument<OneOf<S>> {
  const forms = Object.entries(shape);
  const tokens = forms.flatMap(([, form]) => form.tokens);
  const opening = alternatives(tokens);
  return {
    nodes: [{ name, type: "oneof", arguments: forms.flatMap(([, form]) => form.nodes) }],
    tokens,
    parse(cursor, label = name) {
      const found = forms.find(([, form]) => isAtOneOf(cursor, form.tokens));
      if (!found) throw mismatch(cursor, label, `'${label}' must begin with ${opening}`);
      return { [found[0]]: found[1].parse(cursor) } as OneOf<S>;
    },
  };
}

function isAtOneOf(cursor: Cursor, tokens: readonly string[]): boolean {
  return tokens.some((token) => cursor.isAt(token));
}

/** Any of the options, in any order, each at most once, to the end of the request. */
export function options<S extends TokenShape>(
  shape: S,
  before: readonly Tokens[] = [],
): Arguments<SomeOf<S>> {
  return optionsAs(shape, before, (value) => value) as Arguments<SomeOf<S>>;
}

/** The same options, but of each the words in which it was given, its token first: to pass them on. */
export function optionsAsGiven<S extends TokenShape>(shape: S): Arguments<GivenOf<S>> {
  return optionsAs(shape, [], (_, words) => words) as Arguments<GivenOf<S>>;
}

function optionsAs(
  shape: TokenShape,
  before: readonly Tokens[],
  kept: (value: unknown, words: readonly Uint8Array[]) => unknown,
): Arguments<Record<string, unknown>> {
  const members = Object.entries(shape);
  return {
    nodes: members.flatMap(([, member]) => member.nodes.map(asOptional)),
    behind: (tokens) => optionsAs(shape, tokens, kept),
    parse(cursor) {
      const chosen: Record<string, unknown> = {};
      while (cursor.left > 0) {
        const found = members.find(([, member]) => isAtOneOf(cursor, member.tokens));
        if (!found)
          throw strayOption(
            cursor,
            before,
            members.flatMap(([, member]) => member.tokens),
          );
        const [name, member] = found;
        if (name in chosen) throw givenAgain(member.tokens);
        const { position } = cursor;
        const value = member.parse(cursor);
        chosen[name] = kept(value, cursor.since(position));
      }
      return chosen;
    },
  };
}

function givenAgain(tokens: Tokens): VstoreError {
  return new VstoreError("ERR", `${quoted(tokens)} may be given only once`);
}

function strayOption(cursor: Cursor, before: readonly Tokens[], known: readonly string[]): VstoreError {
  const again = before.find((tokens) => isAtOneOf(cursor, tokens));
  if (again !== undefined) return givenAgain(again);
  const word = cursor.peek()!;
  // No option is that long, so no similar one is suggested.
  const hint = word.length > OPTION_BYTES_MAX ? "" : didYouMean(Buffer.from(word).toString("latin1"), known);
  return new VstoreError("ERR", `unknown option ${echo(word)}${hint}`);
}

function quoted(tokens: readonly string[]): string {
  return alternatives(tokens.map((token) => `'${token}'`));
}
