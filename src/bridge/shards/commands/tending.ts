/** Commands about the parts themselves: their indexes, their files, their plans. */

import { build } from "../../../commands/collections/build.ts";
import { parseArguments } from "../../../commands/grammar/arguments.ts";
import { Double, type Reply, Status } from "../../../commands/wire/reply.ts";
import type { Handler } from "./handler.ts";
import { sum } from "./reading.ts";

export const runBuild: Handler = async (parts, args) => {
  const { options } = parseArguments(build.args, args);
  const answers = await parts.askAllLong("BUILD", () => args.slice(1));
  const slots = sum(answers.map((each) => Number(/\d+/.exec(String(each))?.[0] ?? 0)));
  return new Status(
    options.wait ? `OK ${slots} slots added to the index` : `OK indexing ${slots} slots in the background`,
  );
};

export const runCheckpoint: Handler = async (parts) => {
  await parts.askAllLong("CHECKPOINT", () => []);
  return new Status(`OK ${parts.names.length} parts`);
};

/** Facts that add up; of the others each that is not the same everywhere shows all that there are. */
const summed: ReadonlySet<string> = new Set([
  "vectors",
  "estimated_matches",
  "matches",
  "slots_evaluated",
  "json_read",
]);

export const readExplain: Handler = async (parts, args) => {
  const all = (await parts.askAll("EXPLAIN", parts.wordsOf(args))).map((reply) =>
    factsOf(reply as unknown[]),
  );
  const names = new Set(all.flatMap((facts) => [...facts.keys()]));
  return new Map(
    [...names].map((name) => [
      name,
      merged(
        name,
        all.map((facts) => facts.get(name)),
      ),
    ]),
  );
};

type Fact = number | string | readonly string[] | undefined;

function merged(name: string, facts: readonly Fact[]): Reply {
  if (summed.has(name)) return sum(facts.map((fact) => Number(fact ?? 0)));
  if (name === "evaluation_ms") return new Double(Math.max(...facts.map((fact) => Number(fact ?? 0))));
  if (facts.some(Array.isArray)) return [...new Set(facts.flatMap((fact) => fact ?? []).map(String))];
  const different = [...new Set(facts.filter((fact) => fact !== undefined))] as (number | string)[];
  return different.length === 1 ? different[0]! : different.join(", ");
}

function factsOf(reply: readonly unknown[]): Map<string, Fact> {
  const plain = (fact: unknown) => (typeof fact === "number" ? fact : String(fact));
  return new Map(
    Array.from({ length: reply.length / 2 }, (_, i) => {
      const fact = reply[2 * i + 1];
      return [String(reply[2 * i]), Array.isArray(fact) ? fact.map(String) : plain(fact)];
    }),
  );
}
