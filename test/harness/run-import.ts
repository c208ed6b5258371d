/** `vstore import` in this process, as it ships: the thread that decodes some formats runs no TypeScript. */
import { fileURLToPath } from "node:url";
import type * as Import from "../../src/cli/transfer/import.ts";

const program = fileURLToPath(new URL("../../dist/cli/transfer/import.js", import.meta.url));

export const { runImport } = (await import(program)) as typeof Import;
