/**
 * Which requests belong in which stream. The module never misplaces one; a stream client may, and a write in
 * `queries` or for another collection would be applied outside its log.
 */
import { commands } from "../../commands/registry.ts";
import type { Request } from "./request.ts";
import type { Source } from "./sources.ts";

/** For control: whether the request is a write, also one that should have gone to its collection's log. */
export function isWrite({ name }: Request): boolean {
  const command = commands.get(name);
  return (
    command !== undefined && (command.route === "log" || (command.route === "control" && command.writes))
  );
}

/** Words of a request that take a good part of a turn, if only to be checked. */
const longWordsMin = 2_000;

/** Whether it should begin in a turn in which little else was done. */
export function isLong({ args }: Request): boolean {
  return args.length >= longWordsMin;
}

/** Why the request cannot be served where it was found; undefined when it can. */
export function faultOf({ kind, collection }: Source, request: Request): string | undefined {
  if (request.fault !== undefined || kind === "control") return request.fault;
  const wanted = kind === "log" ? "log" : "queries";
  const route = commands.get(request.name)?.route;
  if (route !== wanted) return `VSTORE.${request.name} does not belong in ${request.stream}`;
  if (collection !== "" && request.collection !== collection)
    return `${request.stream} belongs to collection '${collection}'`;
  return undefined;
}
