/** `FILTER expression`: only keys whose attributes it is true of. The language is the engine's, see engine/filter. */
import { afterToken, value } from "./arguments.ts";
import { filterText } from "./values.ts";

export const filter = afterToken("FILTER", value("expression", "string", filterText));
