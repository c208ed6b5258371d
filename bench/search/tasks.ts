/**
 * The tasks that a run is made of, and how one is run: in a fresh process each, on all cores or confined to one, so
 * that none inherits the heap, the threads or the compiled code of another.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Calibration } from "./calibration.ts";
import type { Built, Ready, Searched, Subject } from "./measure.ts";
import type { Scanned } from "./scan.ts";

export type Task =
  | ({ readonly task: "build" | "ready" | "search" } & Subject)
  | { readonly task: "calibrate" }
  | { readonly task: "scan"; readonly size: number };

/** What each task answers. */
export interface Answers {
  build: Built;
  ready: Ready;
  search: Searched;
  calibrate: Calibration;
  scan: Scanned;
}

export type Outcome<T> = { readonly ok: T } | { readonly error: string };

const worker = fileURLToPath(new URL("worker.ts", import.meta.url));

/** @param cores "one" confines the process, and all its threads and children, to the first core */
export async function runTask<T extends Task>(
  task: T,
  cores: "all" | "one" = "all",
): Promise<Outcome<Answers[T["task"]]>> {
  const node = [process.execPath, "--expose-gc", ...process.execArgv, worker, JSON.stringify(task)];
  const [command, ...args] = cores === "one" ? ["taskset", "--cpu-list", "0", ...node] : node;
  const child = spawn(command!, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  return new Promise((resolve) => {
    let outcome: Outcome<Answers[T["task"]]> | undefined;
    child.once("message", (message) => {
      outcome = message as Outcome<Answers[T["task"]]>;
    });
    child.once("error", (error) => resolve({ error: error.message }));
    child.once("close", (code, signal) => resolve(outcome ?? { error: `ended with ${code ?? signal}` }));
  });
}
