/** Every command, in the order in which the documentation shows them; internal ones come last. */
import { cacheCreate } from "./cache/create.ts";
import { cacheDel } from "./cache/del.ts";
import { cacheFeedback } from "./cache/feedback.ts";
import { cacheGet } from "./cache/get.ts";
import { cacheInfo } from "./cache/info.ts";
import { cacheSet } from "./cache/set.ts";
import { build } from "./collections/build.ts";
import { card } from "./collections/card.ts";
import { checkpoint } from "./collections/checkpoint.ts";
import { create } from "./collections/create.ts";
import { drop } from "./collections/drop.ts";
import { info } from "./collections/info.ts";
import { list } from "./collections/list.ts";
import { token } from "./collections/token.ts";
import { wait } from "./collections/wait.ts";
import type { Command } from "./command.ts";
import { followed } from "./internal/followed.ts";
import { renewed } from "./internal/renewed.ts";
import { sweep } from "./internal/sweep.ts";
import { expire } from "./lifetimes/expire.ts";
import { expireat } from "./lifetimes/expireat.ts";
import { persist } from "./lifetimes/persist.ts";
import { pexpire } from "./lifetimes/pexpire.ts";
import { pexpireat } from "./lifetimes/pexpireat.ts";
import { pttl } from "./lifetimes/pttl.ts";
import { ttl } from "./lifetimes/ttl.ts";
import { explain } from "./search/explain.ts";
import { msearch } from "./search/msearch.ts";
import { search } from "./search/search.ts";
import { del } from "./vectors/del.ts";
import { exists } from "./vectors/exists.ts";
import { get } from "./vectors/get.ts";
import { getattr } from "./vectors/getattr.ts";
import { insert } from "./vectors/insert.ts";
import { mget } from "./vectors/mget.ts";
import { minsert } from "./vectors/minsert.ts";
import { randmember } from "./vectors/randmember.ts";
import { scan } from "./vectors/scan.ts";
import { setattr } from "./vectors/setattr.ts";

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
    pexpire,
    expireat,
    pexpireat,
    ttl,
    pttl,
    persist,
    scan,
    randmember,
    search,
    msearch,
    explain,
    build,
    checkpoint,
    wait,
    token,
    info,
    list,
    drop,
    cacheCreate,
    cacheSet,
    cacheGet,
    cacheFeedback,
    cacheDel,
    cacheInfo,
    followed,
    renewed,
    sweep,
  ].map((command) => [command.name, command as Command]),
);
