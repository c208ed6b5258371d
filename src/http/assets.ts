/** The files of the page, in dashboard/ of the package. They contain no data, so they need no token. */
import { readFileSync } from "node:fs";

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const types = {
  "index.html": "text/html; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "dashboard.js": "text/javascript; charset=utf-8",
  "charts.js": "text/javascript; charset=utf-8",
  "map.js": "text/javascript; charset=utf-8",
} as const;

/** Path → file. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const assets = Object.entries(types).map(([name, type]): [string, Asset] => {
    const bytes = readFileSync(new URL(`../../dashboard/${name}`, import.meta.url));
    return [name === "index.html" ? "/" : `/${name}`, { type, bytes }];
  });
  return new Map(assets);
}
