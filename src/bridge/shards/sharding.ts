/** What a node of a cluster needs for collections whose vectors are in parts, put together for one session. */
import type { Context } from "../../commands/command.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { nodeTag } from "../redis/keys.ts";
import type { Answers } from "../requests/answers.ts";
import type { Request } from "../requests/request.ts";
import type { Session } from "../session/session.ts";
import type { UnexpectedErrors } from "../session/unexpected-errors.ts";
import { Making } from "./making.ts";
import { Nodes } from "./nodes/nodes.ts";
import { type ContextOfPart, OwnParts } from "./own-parts.ts";
import { PlainSearches } from "./plain-searches.ts";
import { Shards } from "./shards.ts";
import { Unfinished } from "./unfinished.ts";

export interface Sharding {
  readonly shards: Shards;
  readonly making: Making;
  /** Goes on with what was cut short, in the background; to be called with each batch while the session serves. */
  readonly resume: () => void;
  /** Of the writes of the control stream. */
  readonly answers: Pick<Answers, "toControlWrite">;
}

export interface ShardingParts {
  readonly session: Session;
  /** Of its Redis. */
  readonly url: string;
  /** How long a part may take to answer, or to be made. */
  readonly partTimeoutMs: number;
  readonly catalog: Catalog;
  readonly errors: UnexpectedErrors;
}

/** Undefined where the server is no node of a cluster. */
export function shardingOf(
  { session, url, partTimeoutMs, catalog, errors }: ShardingParts,
  answers: Answers,
  context: (request: Request, answerRoom?: Context["answerRoom"]) => Context,
  contextOfPart: ContextOfPart,
): Sharding | undefined {
  if (nodeTag === "") return undefined;
  const nodes = new Nodes(session.answerer, url, partTimeoutMs);
  session.signal.addEventListener("abort", () => nodes.close(), { once: true });
  const onUnexpectedError = (error: unknown, command: string) => errors.report(error, { command });
  const onForeign = (what: string) => onUnexpectedError(new Error(what), "CREATE");
  const unfinished = new Unfinished(session.writer, session.answerer, catalog, nodes, onForeign);
  const making = new Making(catalog, nodes, session.writer, answers, unfinished);
  const own = new OwnParts(catalog, nodes, contextOfPart);
  const ways = { nodes, own, plain: new PlainSearches((part, request) => nodes.exchange(part, request)) };
  return {
    shards: new Shards({ catalog, ways, answers, context, onUnexpectedError }),
    making,
    resume() {
      making.beginFound();
      void unfinished.sweep().catch((error: unknown) => {
        if (!session.signal.aborted) onUnexpectedError(error, "CREATE");
      });
    },
    answers: {
      toControlWrite(request, outcome) {
        answers.toControlWrite(request, outcome);
        making.heard(request, outcome);
      },
    },
  };
}
