/**
 * Sees to it that no process outlives the tests, however they end. Servers and sidecars get SIGKILL from the kernel
 * when the test process dies. What a sidecar has started by itself is found by its working directory: the name of each
 * directory says whose test process made it.
 */
import { existsSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";

const temporary = realpathSync(tmpdir());
const setpriv = "/usr/bin/setpriv";
const ownName = /^vstore-[a-z]+-(\d+)-[A-Za-z0-9]{6}$/;
/** Linux says so of a directory that is gone. */
const deleted = / \(deleted\)$/;

/** A new directory that carries the number of this process in its name. */
export function ownDirectory(purpose: string): string {
  return mkdtempSync(join(temporary, `vstore-${purpose}-${process.pid}-`));
}

/** The command line under which the program ends with this process, where the system has a way to ask for it. */
export function endingWithThis(command: string, args: readonly string[]): [string, string[]] {
  if (!existsSync(setpriv)) return [command, [...args]];
  return [setpriv, ["--pdeathsig", "KILL", command, ...args]];
}

/** Ends the processes that work in the directory, and removes it. */
export function removeWithProcesses(directory: string): void {
  for (const [pid, cwd] of workingDirectories())
    if (cwd === directory || cwd.startsWith(directory + sep)) end(pid);
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Ends what test processes that are gone have left behind, and removes their directories. */
export function sweep(): void {
  for (const [pid, cwd] of workingDirectories()) if (isLeft(nameWithin(cwd))) end(pid);
  for (const name of readdirSync(temporary))
    if (isLeft(name)) rmSync(join(temporary, name), { recursive: true, force: true, maxRetries: 3 });
}

/** The name of the directory below the temporary one, if the path leads there. */
function nameWithin(path: string): string {
  return path.startsWith(temporary + sep) ? path.slice(temporary.length + 1).split(sep)[0]! : "";
}

function isLeft(name: string): boolean {
  const owner = Number(ownName.exec(name)?.[1]);
  return Number.isInteger(owner) && !isAlive(owner);
}

function* workingDirectories(): Generator<[pid: number, cwd: string]> {
  if (!existsSync("/proc/self/cwd")) return;
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      yield [Number(entry), readlinkSync(`/proc/${entry}/cwd`).replace(deleted, "")];
    } catch {} // it has ended, or is another user's
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {} // it has ended by itself
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
