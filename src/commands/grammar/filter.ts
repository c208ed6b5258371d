/** `FILTER expression`: only keys whose attributes match. The language is the engine's, see engine/filter. */
import { afterToken, value } from "./arguments.ts";
import { filterText } from "./values.ts";

export const filter = afterToken("FILTER", value("expression", "string", filterText));
