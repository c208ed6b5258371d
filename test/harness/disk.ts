/** A disk of a few MiB for one test: a tmpfs, where this process may mount one. */
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { temporaryDirectory } from "./directory.ts";

export const MIB = 1024 * 1024;
/** The file on a disk that is full. */
export const BALLAST = "ballast";

/** Why no disk can be mounted here; undefined when one can. */
export const mountFault = tryMount();
if (mountFault !== undefined) console.log(`no disk of our own, so these tests are skipped: ${mountFault}`);

function tryMount(): string | undefined {
  const directory = join("/tmp", `vstore-mount-${process.pid}`);
  mkdirSync(directory);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "vstore-test", directory], { stdio: "pipe" });
    execFileSync("umount", [directory]);
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A tmpfs of so many bytes, below a private directory; it is removed after the hooks that end its users. */
export function mountDisk(bytes: number, ...options: string[]): string {
  const directory = temporaryDirectory();
  const all = [`size=${bytes}`, ...options].join(",");
  execFileSync("mount", ["-t", "tmpfs", "-o", all, "vstore-test", directory]);
  onTestFinished(() => {
    // Lazily, as closed files stay mapped here until their memory is collected.
    execFileSync("umount", ["--lazy", directory]);
  });
  return directory;
}

export function resizeDisk(directory: string, bytes: number): void {
  execFileSync("mount", ["-o", `remount,size=${bytes}`, directory]);
}

/** Takes what is left of the disk, to the last byte; returns the one file that does, also after several calls. */
export function fillUp(directory: string): string {
  const ballast = join(directory, BALLAST);
  const { bavail, bsize } = statfsSync(directory);
  try {
    appendFileSync(ballast, Buffer.alloc(bavail * bsize));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC"); // a user of the disk has taken some meanwhile
  }
  expect(() => writeFileSync(join(directory, "more"), "x")).toThrow("ENOSPC");
  return ballast;
}
