/** Runs the one task it is given as its argument, and sends the outcome to its parent. */
import { calibrate } from "./calibration.ts";
import { measureBuild, measureReady, measureSearch } from "./measure.ts";
import { scan } from "./scan.ts";
import type { Outcome, Task } from "./tasks.ts";

function run(task: Task): Promise<unknown> {
  switch (task.task) {
    case "build":
      return measureBuild(task);
    case "ready":
      return measureReady(task);
    case "search":
      return measureSearch(task);
    case "calibrate":
      return calibrate();
    case "scan":
      return scan(task.size);
  }
}

const outcome: Outcome<unknown> = await run(JSON.parse(process.argv[2]!) as Task).then(
  (ok) => ({ ok }),
  (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
);
process.send!(outcome, () => process.exit());
