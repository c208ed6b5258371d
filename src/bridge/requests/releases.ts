/**
 * Ends the values of entries that a cache has no more, and tells which writes of caches the module has made.
 *
 * A client that may append to the log of a cache need not be allowed to end values, which are keys of Redis. So only an
 * entry that proves that the module wrote it, after it had checked its caller's rights, ends any. While this sidecar
 * serves, any other is refused and leaves the log. In a replay it may be of a Redis process that it has never led, and
 * acknowledged: then it changes vectors, and no value. Only a SET of a cache with a scope is refused there too: it
 * could give the value of one scope to another, and a cache may forget an answer but not confuse two.
 */
import type { Context } from "../../commands/command.ts";
import { commands } from "../../commands/registry.ts";
import type { Outbox } from "./outbox.ts";
import { Proofs } from "./proofs.ts";
import type { Request } from "./request.ts";

type Release = NonNullable<Context["release"]>;

export class Releases {
  readonly #outbox: Outbox;
  /** The latest first. */
  readonly #proofs: readonly Proofs[];

  /** @param keys of all Redis processes that the logs may have entries of, the latest last */
  constructor(outbox: Outbox, keys: readonly string[]) {
    this.#outbox = outbox;
    this.#proofs = keys.map((key) => new Proofs(key)).reverse();
  }

  /** Ends values for the request; undefined where it may end none. */
  of(request: Request): Release | undefined {
    if (request.proof.length === 0) return undefined;
    let isProven: boolean | undefined;
    return (cache, key, digest) => {
      isProven ??= this.isProven(request);
      if (isProven) this.#outbox.release(cache, key, digest);
    };
  }

  /** Whether it is a write of a cache that another producer has made. */
  isForged(request: Request): boolean {
    const command = commands.get(request.name);
    return command?.route === "log" && command.caches === "only" && !this.isProven(request);
  }

  /** Whether the module has appended it, after it had checked its caller's rights. */
  isProven(request: Request): boolean {
    return this.#proofs.some((proofs) => proofs.provesWrite(request));
  }
}
