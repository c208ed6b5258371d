/** A process that does one share of the mutations: `damage-worker.ts <directory> <seed> <from> <count>`. */
import { damage } from "./damage.ts";

const [directory, ...numbers] = process.argv.slice(2) as [string, ...string[]];
const [seed, from, count] = numbers.map(Number) as [number, number, number];

try {
  const report = await damage({ seed, from, count }, directory, (number) => process.send!(number));
  process.send!(report);
} catch (error) {
  process.send!({ failure: (error as Error).message });
  process.exitCode = 1;
}
process.disconnect();
