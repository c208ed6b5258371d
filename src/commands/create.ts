/** VSTORE.CREATE: a new collection. Its dimension and metric never change. */
import { resolveOptions } from "../engine/options.ts";
import { limits } from "../limits.ts";
import {
  afterToken,
  collection,
  flag,
  integerValue,
  options,
  sequence,
  unsupported,
  value,
  word,
} from "./arguments.ts";
import { define } from "./command.ts";
import { OK } from "./reply.ts";
import { text } from "./values.ts";

/** The one way in which vectors are kept so far. */
const storedAs = "F32";

export const create = define({
  name: "CREATE",
  summary: "Creates a collection of vectors of one dimension and metric.",
  complexity: "O(1)",
  route: "control",
  writes: true,
  args: sequence({
    collection,
    dimensions: afterToken("DIM", integerValue("dimensions", limits.dimensionsMin, limits.dimensionsMax)),
    options: options(
      {
        metric: afterToken(
          "METRIC",
          word("metric", ["COSINE", "L2", "IP"], "how distance is measured"),
          "COSINE",
        ),
        M: afterToken("M", integerValue("m", limits.mMin, limits.mMax), limits.mDefault),
        efConstruction: afterToken(
          "EF_CONSTRUCTION",
          integerValue("ef-construction", limits.efConstructionMin, limits.efConstructionMax),
          limits.efConstructionDefault,
        ),
        ef: afterToken("EF", integerValue("ef", limits.efMin, limits.efMax), limits.efDefault),
        quantization: afterToken("QUANT", value("quantization", "string", text(storedAs))),
        nx: flag("NX", "answers nil instead of an error when the collection exists"),
      },
      ["FOLLOW"],
    ),
  }),
  reply: "OK; nil when the collection exists and NX is given",
  replyType: '"OK" | null',
  async run({ catalog, id }, { collection: name, dimensions, options: { nx, quantization, ...given } }) {
    if (quantization !== undefined && quantization.toUpperCase() !== storedAs) {
      throw unsupported(`QUANT other than ${storedAs}`);
    }
    if (nx && catalog.find(name)) return null;
    await catalog.create(name, resolveOptions({ dimensions, ...given }), id);
    return OK;
  },
});
