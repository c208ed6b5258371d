/** What a collection keeps for ever, as CREATE and CACHE.CREATE take it. */
import { limits } from "../../limits.ts";
import { afterToken, integerValue, word } from "./arguments.ts";

export const dimensions = afterToken(
  "DIM",
  integerValue("dimensions", limits.dimensionsMin, limits.dimensionsMax),
);

export const metric = afterToken(
  "METRIC",
  word("metric", ["COSINE", "L2", "IP"], "how distance is measured"),
  "COSINE",
);
