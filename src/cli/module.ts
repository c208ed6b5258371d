/** `vstore module`: the file that your own Redis loads, built if it is not there yet. */
import { ensureModule } from "../bridge/redis/module-file.ts";
import { exitCodes } from "./exit.ts";

export async function runModule(options: { printPath?: boolean }): Promise<number> {
  const file = await ensureModule({ info: (message: string) => console.error(message) });
  if (options.printPath) console.log(file);
  else
    console.log(
      `The module is ${file}\nIn redis.conf: loadmodule ${file}\nOn the command line: --loadmodule ${file}`,
    );
  return exitCodes.done;
}
