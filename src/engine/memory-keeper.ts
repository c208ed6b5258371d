/**
 * Keeps the process within its memory limit where no cgroup does: when much of it is in use, vectors go back to their
 * files, the largest collection's first, until enough is free. Codes and upper layers stay.
 */
import { memoryBudget } from "./memory-budget.ts";

const LOOK_MS = 1_000;
/** Of the limit: in use when it begins, and when it ends. */
const BEGIN_SHARE = 0.9;
const END_SHARE = 0.75;

/** @returns the timer; undefined where there is no limit */
export function keepWithinLimit(): NodeJS.Timeout | undefined {
  const { limit } = memoryBudget;
  if (limit === undefined) return undefined;
  let isBusy = false;
  const look = async () => {
    if (isBusy || process.memoryUsage.rss() < limit * BEGIN_SHARE) return;
    isBusy = true;
    try {
      const isWanted = () => process.memoryUsage.rss() > limit * END_SHARE;
      for (const holder of [...memoryBudget.holders].sort((a, b) => b.fileBytes - a.fileBytes)) {
        await holder.giveBack(isWanted);
      }
    } finally {
      isBusy = false;
    }
  };
  return setInterval(() => void look(), LOOK_MS).unref();
}
