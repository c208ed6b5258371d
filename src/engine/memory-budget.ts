/**
 * How much memory the process may use, and what of it indexes may keep. An index within its share has memory of its
 * own, which the system cannot take back, so that vectors in mapped files go first. A larger one stays in its mapped
 * file, page by page.
 */
import * as fs from "node:fs";
import * as os from "node:os";

/** Of the limit; the rest is for rows in use, keys, attributes and the program. */
const INDEX_SHARE = 0.5;
/** Where version 1 of cgroups writes what no limit is: the largest number of whole pages. */
const UNLIMITED_MIN = 2 ** 60;

/** Files whose memory can be given back. */
export interface MemoryHolder {
  readonly fileBytes: number;
  giveBack(isWanted: () => boolean): Promise<void>;
}

class MemoryBudget {
  /** Null before it is known. */
  #limit: number | undefined | null = null;
  readonly #claims = new Map<object, number>();
  /** The vectors of all collections. */
  readonly holders = new Set<MemoryHolder>();

  /** Bytes, or undefined where nothing limits the process. */
  get limit(): number | undefined {
    if (this.#limit === null) this.set(undefined);
    return this.#limit ?? undefined;
  }

  /** @param bytes of `--memory-limit`; a lower limit of the cgroup counts instead */
  set(bytes: number | undefined): void {
    const limits = [bytes, cgroupLimit()].filter((limit) => limit !== undefined);
    this.#limit = limits.length > 0 ? Math.min(...limits) : undefined;
  }

  /** Whether an index may have so many bytes of its own, beside all others; then it has them until `release`. */
  claim(owner: object, bytes: number): boolean {
    this.#claims.delete(owner);
    const others = [...this.#claims.values()].reduce((sum, claimed) => sum + claimed, 0);
    if (others + bytes > (this.limit ?? os.totalmem()) * INDEX_SHARE) return false;
    this.#claims.set(owner, bytes);
    return true;
  }

  /** Whether vectors of so many bytes have no room beside the indexes. */
  isBeyond(bytes: number): boolean {
    return this.limit !== undefined && bytes > this.limit * (1 - INDEX_SHARE);
  }

  release(owner: object): void {
    this.#claims.delete(owner);
  }
}

/** Of the process. */
export const memoryBudget = new MemoryBudget();

/** The lowest limit of the process' cgroup and those around it, version 1 or 2; undefined where there is none. */
export function cgroupLimit(groups = "/proc/self/cgroup", root = "/sys/fs/cgroup"): number | undefined {
  const limits = readOr(groups, "")
    .split("\n")
    .flatMap((line) => limitsOf(line, root));
  return limits.length > 0 ? Math.min(...limits) : undefined;
}

/** Of one line `number:controllers:/path`; those of version 2 name no controllers. */
function limitsOf(line: string, root: string): number[] {
  const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
  if (group === undefined || (controllers !== "" && !controllers!.split(",").includes("memory"))) return [];
  const [base, file] =
    controllers === "" ? [root, "memory.max"] : [`${root}/memory`, "memory.limit_in_bytes"];
  const parts = group.split("/").filter((part) => part !== "");
  // In a container the path may be that of the host, and only the outermost directory be there.
  const directories = Array.from({ length: parts.length + 1 }, (_, n) =>
    [base, ...parts.slice(0, n)].join("/"),
  );
  const found = directories.map((directory) => Number.parseInt(readOr(`${directory}/${file}`, ""), 10));
  return found.filter((bytes) => bytes > 0 && bytes < UNLIMITED_MIN);
}

function readOr(path: string, otherwise: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}
