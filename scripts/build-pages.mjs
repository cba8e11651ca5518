// Builds the dashboard's pages into dist/pages: scripts for the browser, and beside them what they are shown with.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const from = (name) => fileURLToPath(import.meta.resolve(name));
const compiler = join(dirname(from("typescript")), "..", "bin", "tsc");
const { status } = spawnSync(process.execPath, [compiler, "-p", join(root, "tsconfig.pages.json")], {
  stdio: "inherit",
});
if (status !== 0) process.exit(1);

const pages = join(root, "src/dashboard/pages");
const built = join(root, "dist/pages/dashboard/pages");
const uplot = dirname(from("uplot"));
mkdirSync(built, { recursive: true });
for (const name of ["index.html", "style.css", "icon.svg"])
  copyFileSync(join(pages, name), join(built, name));
copyFileSync(join(uplot, "uPlot.esm.js"), join(built, "uplot.js"));
copyFileSync(join(uplot, "uPlot.min.css"), join(built, "uplot.css"));
