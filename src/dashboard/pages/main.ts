/** Shows the page that the address names. */
import { showCompare } from "./compare.js";
import { element, find } from "./dom.js";
import { showForm } from "./form.js";
import { showList } from "./list.js";
import { showPredictions } from "./predictions.js";
import { showRun } from "./run.js";

const main = find("#main", HTMLElement);
const { pathname, searchParams } = new URL(location.href);

find("#nav", HTMLElement).replaceChildren(
  ...[
    ["/", "Runs"],
    ["/new", "New run"],
  ].map(([href, text]) =>
    element("a", { href: href!, ...(href === pathname && { "aria-current": "page" }) }, text!),
  ),
);

const [, section, id, part] = pathname.split("/");
if (section === "runs" && id && part === "predictions") void showPredictions(main, id, searchParams);
else if (section === "runs" && id) showRun(main, id);
else if (section === "compare") void showCompare(main, (searchParams.get("runs") ?? "").split(","));
else if (section === "new") void showForm(main, searchParams.get("like"));
else showList(main);
