/** Before and after all tests: nothing is left of earlier ones, nor of these; see vitest.config.ts. */
import { sweep } from "../../harness/left-behind.ts";

export function setup(): () => void {
  sweep();
  return sweep;
}
