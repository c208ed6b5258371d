/** Which server the tests run: redis-server, or that of `REDIS_SERVER=valkey-server npx vitest run`. */
import { execFileSync } from "node:child_process";

export const serverProgram = process.env.REDIS_SERVER || "redis-server";

const versionText = () => execFileSync(serverProgram, ["--version"], { encoding: "utf8" });

/** By its own version: that of Valkey itself, and not of the Redis that it is compatible with. */
export function isServerSince(major: number, minor: number): boolean {
  const text = versionText();
  const [, ownMajor, ownMinor] = / v=(\d+)\.(\d+)\./.exec(text)!.map(Number);
  return ownMajor! > major || (ownMajor === major && ownMinor! >= minor);
}

/** CLUSTER MIGRATESLOTS. */
export function movesSlotsAtOnce(): boolean {
  return versionText().startsWith("Valkey") && isServerSince(9, 0);
}

export function isRedis8(): boolean {
  return !versionText().startsWith("Valkey") && isServerSince(8, 0);
}

/** Valkey ends itself then where a command looks up a key in another slot than its own. */
export function strictSlots(): string[] {
  const canCheck = versionText().startsWith("Valkey") && isServerSince(8, 0);
  return canCheck ? ["--enable-debug-assert", "yes"] : [];
}
