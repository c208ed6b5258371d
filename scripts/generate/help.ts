/** The lines of VSTORE.HELP about one command: the first is its syntax, the second what it does. */
import type { Command } from "../../src/commands/command.ts";
import { syntaxLine } from "../../src/commands/grammar/syntax.ts";
import { argumentFacts } from "./arguments.ts";

const indent = "    ";

export function helpLines({ name, summary, args, reply, complexity }: Command): string[] {
  const facts = args.nodes.flatMap(argumentFacts).map(({ title, says }) => `${indent}${title}: ${says}`);
  const rest = [`${indent}Reply: ${reply}.`, `${indent}Complexity: ${complexity}.`];
  return [syntaxLine(name, args.nodes), `${indent}${summary}`, ...facts, ...rest];
}
