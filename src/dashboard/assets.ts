/**
 * The files that browsers are given: what scripts/build-pages.mjs puts into dist/pages, as a table made when the server
 * starts. Names that are not in it do not exist.
 */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { RunError } from "../errors.js";

export interface Asset {
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".svg": "image/svg+xml",
};

const FOLDER = fileURLToPath(new URL("../../dist/pages/", import.meta.url));
/** What every address of the dashboard shows; its script looks at the address. */
export const SHELL = "dashboard/pages/index.html";

/** By name, from the folder of the pages. */
export function loadAssets(): ReadonlyMap<string, Asset> {
  try {
    const names = readdirSync(FOLDER, { recursive: true }).map(String);
    const assets = new Map(
      names.flatMap((name): [string, Asset][] => {
        const type = TYPES[extname(name)];
        return type === undefined
          ? []
          : [[name, { type, body: new Uint8Array(readFileSync(join(FOLDER, name))) }]];
      }),
    );
    if (assets.has(SHELL)) return assets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  throw new RunError(`the dashboard's pages are not built: there is no ${join(FOLDER, SHELL)}`, {
    hint: "npm run build",
  });
}
