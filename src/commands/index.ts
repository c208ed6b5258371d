/** Every command, in the order in which the documentation shows them; internal ones come last. */
import { build } from "./build.ts";
import { card } from "./card.ts";
import { checkpoint } from "./checkpoint.ts";
import type { Command } from "./command.ts";
import { create } from "./create.ts";
import { del } from "./del.ts";
import { drop } from "./drop.ts";
import { exists } from "./exists.ts";
import { expire } from "./expire.ts";
import { followed } from "./followed.ts";
import { get } from "./get.ts";
import { getattr } from "./getattr.ts";
import { info } from "./info.ts";
import { insert } from "./insert.ts";
import { list } from "./list.ts";
import { mget } from "./mget.ts";
import { minsert } from "./minsert.ts";
import { persist } from "./persist.ts";
import { scan } from "./scan.ts";
import { search } from "./search.ts";
import { setattr } from "./setattr.ts";
import { sweep } from "./sweep.ts";
import { ttl } from "./ttl.ts";

export const commands: ReadonlyMap<string, Command> = new Map(
  [
    create,
    insert,
    minsert,
    get,
    mget,
    del,
    exists,
    card,
    setattr,
    getattr,
    expire,
    ttl,
    persist,
    scan,
    search,
    build,
    checkpoint,
    info,
    list,
    drop,
    followed,
    sweep,
  ].map((command) => [command.name, command as Command]),
);
