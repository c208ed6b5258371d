/** A process that does one share of the mutations: `damage-worker.ts <seed> <count> <from>`. */
import { damage } from "./damage.ts";

const [seed, count, from] = process.argv.slice(2).map(Number) as [number, number, number];

try {
  const report = await damage(seed, count, from, () => process.send!("mutation"));
  process.send!(report);
} catch (error) {
  process.send!({ failure: (error as Error).message });
  process.exitCode = 1;
}
process.disconnect();
