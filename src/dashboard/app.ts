/** The routes of the dashboard: its pages, what they show, and what they ask for. */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { NloraError, reported } from "../errors.js";
import { draw } from "../figures/draw.js";
import type { Figure } from "../figures/figure.js";
import { accuracyMatrix, accuracyOverStream } from "../figures/run-figures.js";
import type { RunRecord } from "../runs/record.js";
import { RunFolder } from "../runs/run-folder.js";
import { guard, safeHeaders } from "./access.js";
import { loadAssets, SHELL } from "./assets.js";
import type { RunCatalog } from "./catalog.js";
import type { About, Check, FormValues, RunList } from "./pages/wire.js";
import { type PredictionQuery, Predictions } from "./predictions.js";
import { failureOf, Refusal } from "./refusal.js";
import type { RunControl } from "./run-control.js";
import type { RunView } from "./run-view.js";
import { checkForm, settingsForm, valuesOf } from "./settings-form.js";
import { followList, followRun } from "./streams.js";
import { Views } from "./views.js";

export interface DashboardOptions {
  readonly host: string;
  readonly token: string;
  readonly catalog: RunCatalog;
  readonly control: RunControl;
  /** Aborted when the server closes: streams send their last message and end. */
  readonly closing: AbortSignal;
}

const ONE_RUN = "this dashboard shows one run; nlora ui on a folder of runs starts others";
const MOST_BODY_BYTES = 2 ** 18;
/** Points of a curve: as many as a wide screen has columns, twice. */
const POINTS = { usual: 1000, most: 4000 };

export function createDashboard({ host, token, catalog, control, closing }: DashboardOptions): Hono {
  const app = new Hono();
  const assets = loadAssets();
  const views = new Views(catalog, control);
  const predictions = new Predictions();
  const only = catalog.only;
  const canStart = only === null;

  const list = (): RunList => ({ runs: views.list() });
  const viewOf = (context: Context): RunView => {
    const view = views.get(context.req.param("id") ?? "");
    if (view) return view;
    throw new Refusal(404, "there is no such run; was its folder moved or removed?");
  };
  const asset = (name: string) => {
    const found = assets.get(name);
    if (!found) throw new Refusal(404, "there is no such file");
    return new Response(found.body, { headers: { "Content-Type": found.type } });
  };

  app.onError((error, context) => {
    const { message, hint } = reported(error);
    const status = error instanceof Refusal ? error.status : error instanceof NloraError ? 409 : 500;
    if (status === 500) process.stderr.write(`${error.stack ?? error.message}\n`);
    return context.json(failureOf({ message, hint }), status);
  });
  app.notFound((context) => context.json(failureOf({ message: "there is no such page" }), 404));
  app.use(safeHeaders);
  app.use(guard(host, token, () => (only === null ? "/" : `/runs/${only.id}`)));
  app.use(
    bodyLimit({
      maxSize: MOST_BODY_BYTES,
      onError: () => {
        throw new Refusal(413, `the body has more than ${MOST_BODY_BYTES} bytes`);
      },
    }),
  );

  for (const page of ["/", "/new", "/compare", "/runs/:id", "/runs/:id/predictions"]) {
    app.get(page, () => asset(SHELL));
  }
  app.get("/assets/*", (context) => asset(context.req.path.slice("/assets/".length)));

  app.get("/api/about", (context) => context.json({ canStart } satisfies About));
  app.get("/api/runs", (context) => context.json(list()));
  app.get("/api/events", (context) => followList(context, list, closing));
  app.get("/api/runs/:id", (context) => {
    const view = viewOf(context);
    return context.json(view.detail(control.of(view.entry.folder)));
  });
  app.get("/api/runs/:id/events", (context) => {
    const { entry } = viewOf(context);
    // Looked up again and again: the folder may vanish.
    return followRun(
      context,
      () => views.get(entry.id),
      (view) => control.of(view.entry.folder),
      {
        points: POINTS.usual,
        closing,
      },
    );
  });
  app.get("/api/runs/:id/history", (context) => {
    const number = (name: string) => {
      const text = context.req.query(name);
      if (text === undefined || /^\d{1,12}$/.test(text)) return text === undefined ? undefined : Number(text);
      throw new Refusal(400, `${name}: expected a whole number, found ${text.slice(0, 40)}`);
    };
    const points = Math.max(2, Math.min(POINTS.most, number("points") ?? POINTS.usual));
    const range = { from: number("from") ?? 1, to: number("to") ?? Number.POSITIVE_INFINITY };
    return context.json(viewOf(context).history({ points, range }));
  });
  app.get("/api/runs/:id/config", (context) => {
    const config = viewOf(context).entry.folder.readConfig();
    return context.json(valuesOf(config));
  });
  app.get("/api/runs/:id/figures/:name", (context) => {
    const { record } = viewOf(context);
    const figure = record && FIGURES.get(context.req.param("name"))?.(record);
    if (!figure) throw new Refusal(404, "there is no such figure");
    // A figure brings its colours in a style sheet of its own, and nothing else.
    context.header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    return context.body(draw(figure), 200, { "Content-Type": "image/svg+xml; charset=utf-8" });
  });
  app.get("/api/runs/:id/predictions/:after/:task", (context) => {
    const view = viewOf(context);
    const task = view.record?.tasks[indexOf(context, "task")];
    const after = indexOf(context, "after");
    const page = task && predictions.page(view.entry.folder.path, after, task, queryOf(context));
    if (!page) throw new Refusal(404, "there are no answers on this task after that one");
    return context.json(page);
  });

  app.post("/api/runs/:id/stop", (context) => {
    const { folder } = viewOf(context).entry;
    if (!control.stop(folder)) {
      throw new Refusal(
        409,
        "no process of this machine trains this run: stop it where it was started, or resume it if its process is gone",
      );
    }
    return context.json({});
  });
  app.post("/api/runs/:id/resume", (context) => {
    const view = viewOf(context);
    const { folder } = view.entry;
    if (!control.canResume) throw new Refusal(409, ONE_RUN);
    const { isHere, isElsewhere } = control.of(folder);
    if (isHere || isElsewhere) throw new Refusal(409, "this run is under way");
    if (view.record?.status === "done") throw new Refusal(409, "this run is finished");
    control.resume(new RunFolder(folder.path));
    return context.json({});
  });
  app.get("/api/form", (context) => context.json(settingsForm()));
  app.post("/api/check", async (context) => {
    const checked = checkForm(await valuesFrom(context));
    const answer: Check =
      checked.yaml === null ? checked : { yaml: checked.yaml, problems: checked.problems };
    return context.json(answer);
  });
  app.post("/api/runs", async (context) => {
    if (!canStart) throw new Refusal(409, ONE_RUN);
    const checked = checkForm(await valuesFrom(context));
    if (checked.yaml === null) return context.json(checked, 400);
    const folder = control.start(checked.config, catalog.root);
    return context.json({ id: catalog.of(folder)?.id ?? null }, 201);
  });
  return app;
}

const FIGURES = new Map<string, (record: RunRecord) => Figure>([
  ["accuracy.svg", accuracyOverStream],
  ["matrix.svg", accuracyMatrix],
]);

/** An index from 0 of the address; `after` is written from 0 too, where 0 is the base model. */
function indexOf(context: Context, name: "after" | "task"): number {
  const text = context.req.param(name) ?? "";
  if (!/^\d{1,6}$/.test(text)) throw new Refusal(404, "there is no such task");
  return name === "after" ? Number(text) - 1 : Number(text);
}

function queryOf(context: Context): PredictionQuery {
  const { search = "", outcome = "all", page = "0" } = context.req.query();
  if (outcome !== "all" && outcome !== "right" && outcome !== "wrong") {
    throw new Refusal(400, "outcome: expected all, right or wrong");
  }
  if (!/^\d{1,9}$/.test(page)) throw new Refusal(400, "page: expected a whole number");
  return { search, outcome, page: Number(page) };
}

/** The form's values. The type is asked for, because a web page can send others without the browser asking first. */
async function valuesFrom(context: Context): Promise<FormValues> {
  if (!/^application\/json\b/i.test(context.req.header("content-type") ?? "")) {
    throw new Refusal(415, "expected the header Content-Type: application/json");
  }
  let body: unknown;
  try {
    body = JSON.parse(await context.req.text());
  } catch (error) {
    throw new Refusal(400, `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal(400, "expected an object of settings");
  }
  for (const [path, value] of Object.entries(body)) {
    if (typeof value !== "string") throw new Refusal(400, `${path.slice(0, 60)}: expected a text`);
  }
  return body as FormValues;
}
