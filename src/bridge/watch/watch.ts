/**
 * The state of the sidecar, for observers: connecting, standing by or serving. Sessions come and go; each reports here
 * when it serves, and what observers can read then.
 */
import type { Context } from "../../commands/command.ts";
import type { Catalog } from "../../engine/catalog.ts";
import { Tally } from "./tally.ts";

export interface Serving {
  readonly url: string;
  readonly catalog: Catalog;
  /** The context of a command that comes from here and not through Redis. */
  readonly context: () => Context;
}

export class Watch {
  readonly tally = new Tally();
  #serving: Serving | undefined;
  #reason = "starting";

  /** Undefined while no client is served. */
  get serving(): Serving | undefined {
    return this.#serving;
  }

  /** What it does, and while it does not serve, why. */
  get reason(): string {
    return this.#reason;
  }

  began(serving: Serving): void {
    this.#serving = serving;
  }

  /** What the sidecar is doing. */
  note(reason: string): void {
    this.#reason = reason;
  }

  ended(reason: string): void {
    this.#serving = undefined;
    this.#reason = reason;
  }
}
