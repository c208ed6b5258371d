/**
 * The streams that the sidecar reads, and how far it has read each: control and the reads of the module's clients,
 * which are there once, and the log and the queries of every collection. Written by the reader (positions) and by the
 * loop (`follow`, when collections come and go).
 */
import type { Catalog } from "../../engine/catalog.ts";
import { FIRST_ID } from "../../engine/log-id.ts";
import { controlStream, logStream, queriesStream, readsStream } from "../redis/keys.ts";

export interface Source {
  readonly stream: string;
  readonly kind: "control" | "log" | "queries";
  /** Empty for those that are there once. */
  readonly collection: string;
  /** Id of the last entry that was read. */
  last: string;
}

export class Sources {
  readonly #catalog: Catalog;
  readonly #endsOfDamaged: ReadonlyMap<string, string>;
  #byStream = new Map<string, Source>();
  #common: readonly Source[] = [];
  #own: readonly Source[] = [];

  /** @param endsOfDamaged where the logs of damaged collections ended: only what comes later is refused */
  constructor(catalog: Catalog, endsOfDamaged: ReadonlyMap<string, string>) {
    this.#catalog = catalog;
    this.#endsOfDamaged = endsOfDamaged;
    this.follow();
  }

  /** Makes the set of streams equal to the set of collections; keeps the positions of those that stay. */
  follow(): void {
    const wanted = [
      source("control", controlStream, "", FIRST_ID),
      source("queries", readsStream, "", FIRST_ID),
    ];
    for (const name of this.#catalog.names()) {
      // A log goes on where the files end. What is still in the other streams was not answered yet.
      const position = this.#catalog.find(name)?.position ?? this.#endsOfDamaged.get(name);
      wanted.push(source("log", logStream(name), name, position ?? FIRST_ID));
      wanted.push(source("queries", queriesStream(name), name, FIRST_ID));
    }
    this.#byStream = new Map(wanted.map((each) => [each.stream, this.#byStream.get(each.stream) ?? each]));
    this.#common = this.all().filter(({ collection }) => collection === "");
    this.#own = this.all().filter(({ collection }) => collection !== "");
  }

  /** The log of a collection, if there is one. */
  logOf(collection: string): Source | undefined {
    return this.#byStream.get(logStream(collection));
  }

  find(stream: string): Source | undefined {
    return this.#byStream.get(stream);
  }

  all(): Source[] {
    return [...this.#byStream.values()];
  }

  /** Those that are there once: few, however many collections there are. */
  get common(): readonly Source[] {
    return this.#common;
  }

  /** Those of each collection. */
  get own(): readonly Source[] {
    return this.#own;
  }
}

function source(kind: Source["kind"], stream: string, collection: string, last: string): Source {
  return { stream, kind, collection, last };
}
