/** Shows the page that the address names. */
import { showCompare } from "./compare.js";
import { element, find } from "./dom.js";
import { showForm } from "./form.js";
import { showList } from "./list.js";
import { showPredictions } from "./predictions.js";
import { showRun } from "./run.js";
import { ask } from "./server.js";
import type { About } from "./wire.js";

const main = find("#main", HTMLElement);
const { pathname, searchParams } = new URL(location.href);

const about = await ask<About>("/api/about");
const pages = [["/", "Runs"], ...(about.canStart ? [["/new", "New run"]] : [])] as const;
find("#nav", HTMLElement).replaceChildren(
  ...pages.map(([href, text]) =>
    element("a", { href: href!, ...(href === pathname && { "aria-current": "page" }) }, text!),
  ),
);

const [, section, id, part] = pathname.split("/");
if (section === "runs" && id && part === "predictions") await showPredictions(main, id, searchParams);
else if (section === "runs" && id) showRun(main, id, about);
else if (section === "compare") await showCompare(main, (searchParams.get("runs") ?? "").split(","));
else if (section === "new") await showForm(main, searchParams.get("like"));
else showList(main);
