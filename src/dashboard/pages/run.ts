/** One run: where it stands, its curves, its accuracies, and what can be done with it. */
import { bytes, count, duration, NONE, significant } from "../../format.js";
import { CurvePanels } from "./curve-panels.js";
import { announce, button, element, row, setText, table } from "./dom.js";
import { matrixOf } from "./matrix.js";
import { ask, listen } from "./server.js";
import { activityOf, badge, dateOf, isSilent, statusText } from "./status.js";
import type { About, RunDetail, RunUpdate } from "./wire.js";

export function showRun(main: HTMLElement, id: string, about: About): void {
  const title = element("h1", {}, "Run");
  const facts = element("p", { class: "quiet" });
  const actions = element("div", { class: "bar" });
  const problem = element("div", { role: "alert" });
  const bar = element("progress", { "aria-label": "share of this activity that is done" });
  const activity = element("p", { class: "activity" });
  const tiles = element("dl", { class: "tiles" });
  const matrix = element("section", {});
  const metrics = element("section", {});
  const notes = element("section", {});
  const panels = new CurvePanels(id);
  main.replaceChildren(
    title,
    facts,
    problem,
    element("section", { class: "now", "aria-label": "Where the run stands" }, activity, bar, tiles, actions),
    panels.root,
    matrix,
    element("div", { class: "pair" }, metrics, notes),
  );

  let before: RunDetail | null = null;
  listen<RunUpdate>(`/api/runs/${id}/events`, ({ detail, curves: more, isWhole }) => {
    document.title = `${detail.name} – nlora`;
    title.replaceChildren(detail.name, " ", badge(detail));
    setText(facts, factsOf(detail));
    setText(activity, sentence(activityOf(detail)));
    bar.value = detail.progress.share;
    bar.hidden = detail.status !== "running";
    drawTiles(tiles, detail);
    drawActions(actions, detail, about, (message) => showProblem(problem, detail, message));
    showProblem(problem, detail, null);
    if (JSON.stringify(matrixParts(before)) !== JSON.stringify(matrixParts(detail))) {
      drawAccuracy(matrix, detail);
    }
    if (JSON.stringify(before?.metrics) !== JSON.stringify(detail.metrics)) drawMetrics(metrics, detail);
    if (before?.notes.length !== detail.notes.length) drawNotes(notes, detail);
    sayChanges(before, detail);
    if (more) panels.show(more, isWhole);
    before = detail;
  });
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const matrixParts = (run: RunDetail | null) =>
  run && [run.accuracy, run.baseAccuracy, run.predictions, run.progress.answering?.task, run.status];

function factsOf({ method, model, seed, tasks, startedAt }: RunDetail): string {
  if (method === "") return "";
  return `${method} on ${model}, seed ${seed ?? NONE}, ${tasks.length} tasks, started ${dateOf(startedAt)}`;
}

function drawTiles(tiles: HTMLElement, { progress, status }: RunDetail): void {
  const { taskLoss, penalties, measures, tokensPerSecond, memory, secondsLeft, epoch, lr, gradNorm } =
    progress;
  const isUnderWay = status === "running";
  const number = (value: number | null) => (value === null ? NONE : significant(value));
  const wanted: [string, string][] = [
    ["task loss", number(taskLoss)],
    ...Object.entries(penalties).map(([name, value]): [string, string] => [name, number(value)]),
    ...Object.entries(measures).map(([name, value]): [string, string] => [
      `${name}, measured`,
      number(value),
    ]),
    ["gradient norm", number(gradNorm)],
    ["learning rate", number(lr)],
    ["epoch", epoch === null ? NONE : String(epoch)],
    ["tokens/s", tokensPerSecond === null ? NONE : count(tokensPerSecond)],
    ...(isUnderWay
      ? ([
          ["memory", memory === null ? NONE : bytes(memory)],
          ["time left", secondsLeft === null ? NONE : `about ${duration(secondsLeft)}`],
        ] as [string, string][])
      : []),
  ];
  const names = [...tiles.querySelectorAll("dt")].map(({ textContent }) => textContent);
  if (names.join("\n") !== wanted.map(([name]) => name).join("\n")) {
    tiles.replaceChildren(
      ...wanted.map(([name]) => element("div", {}, element("dt", {}, name), element("dd", {}))),
    );
  }
  const values = tiles.querySelectorAll("dd");
  for (const [index, [, value]] of wanted.entries()) setText(values[index]!, value);
}

function drawActions(
  actions: HTMLElement,
  run: RunDetail,
  about: About,
  complain: (message: string) => void,
): void {
  const shape = `${run.status} ${run.isHere} ${run.isElsewhere} ${isSilent(run)}`;
  if (actions.dataset.shape === shape) return;
  const hadFocus = actions.contains(document.activeElement);
  actions.dataset.shape = shape;
  const isUnderWay = run.status === "running" || run.status === "starting";
  const made: (Node | string)[] = [];
  const post = (what: "stop" | "resume", said: string) => async () => {
    try {
      await ask(`/api/runs/${run.id}/${what}`, {});
      announce(said);
    } catch (error) {
      complain((error as Error).message);
    }
  };
  if (isUnderWay && run.isHere) {
    let asked = false;
    const stop = button("Stop after this step", () => {
      void post("stop", asked ? "ending at once" : "stopping after this step")();
      asked = true;
      setText(stop, "Stop at once");
    });
    stop.id = "stop";
    made.push(stop);
  } else if (isUnderWay && run.isElsewhere) {
    const stop = button("Stop after this step", () => {
      void post("stop", "stopping after this step")();
      stop.disabled = true;
    });
    stop.id = "stop";
    made.push(stop, element("span", { class: "quiet" }, "Trained by another process."));
  } else if (isUnderWay && !isSilent(run)) {
    made.push(element("span", { class: "quiet" }, "No process of this machine trains it."));
  } else if (run.isHere || run.isElsewhere) {
    // Its process writes its last words.
    made.push(element("span", { class: "quiet" }, "Ending."));
  } else if (run.canResume && run.status !== "done" && run.method !== "") {
    const resume = button("Resume", () => {
      if (isSilent(run) && !confirm(SURE)) return;
      resume.disabled = true;
      void post("resume", "resuming")().finally(() => {
        resume.disabled = false;
      });
    });
    resume.id = "resume";
    made.push(resume);
    if (isSilent(run)) {
      made.push(element("span", { class: "quiet" }, `Nothing was written since ${dateOf(run.changedAt)}.`));
    }
  }
  made.push(
    ...(about.canStart
      ? [
          element("a", { class: "action", href: `/compare?runs=${run.id}` }, "Compare with others"),
          element("a", { class: "action", href: `/new?like=${run.id}` }, "New run like this"),
        ]
      : []),
  );
  actions.replaceChildren(...made);
  if (hadFocus) actions.querySelector<HTMLElement>("button, a")?.focus();
}

const SURE =
  "The run says that it is under way, but nothing was written for a while. Resume it only if no other process trains it.";

function showProblem(target: HTMLElement, run: RunDetail, message: string | null): void {
  if (message === null && target.dataset.kept === run.status) return;
  const parts: HTMLElement[] = [];
  const failure = run.damage === null ? run.error : { message: run.damage, hint: null };
  if (failure) {
    parts.push(element("p", { class: "problem" }, failure.message));
    if (failure.hint !== null) parts.push(element("p", { class: "hint" }, failure.hint));
  }
  if (message !== null) parts.push(element("p", { class: "problem" }, message));
  const text = parts.map(({ textContent }) => textContent).join("\n");
  if (target.innerText !== text) target.replaceChildren(...parts);
  if (message !== null) target.dataset.kept = run.status;
  else delete target.dataset.kept;
}

const FIGURE_ALT = "Accuracy on each task as later tasks are learned; the table has the same values";

/** The matrix, and the figure of it once there is something to draw. */
function drawAccuracy(target: HTMLElement, run: RunDetail): void {
  const values = run.accuracy.flat().filter((value) => value !== null);
  const figures = `/api/runs/${run.id}/figures`;
  const parts: HTMLElement[] = run.tasks.length > 0 ? [matrixOf(run)] : [];
  if (values.length > 0) {
    // Another address for other values, so that the browser draws it anew.
    const figure = element("img", { src: `${figures}/accuracy.svg?of=${values.length}`, alt: FIGURE_ALT });
    parts.push(
      element(
        "figure",
        { class: "figure" },
        figure,
        element(
          "figcaption",
          { class: "quiet" },
          "As SVG: ",
          element("a", { href: `${figures}/accuracy.svg` }, "this figure"),
          ", ",
          element("a", { href: `${figures}/matrix.svg` }, "the matrix"),
        ),
      ),
    );
  }
  target.replaceChildren(element("h2", {}, "Accuracy"), element("div", { class: "pair" }, ...parts));
}

function drawMetrics(target: HTMLElement, { metrics }: RunDetail): void {
  const known = metrics.filter(([, value]) => value !== NONE);
  target.replaceChildren(
    element("h2", {}, "Metrics"),
    known.length === 0
      ? element("p", { class: "empty" }, "They come with the first accuracies.")
      : table(
          "Metrics of the run",
          ["Metric", element("span", { class: "number" }, "Value")],
          known.map(([name, value]) => row(name, [element("td", { class: "number" }, value)])),
        ),
  );
}

function drawNotes(target: HTMLElement, { notes }: RunDetail): void {
  target.replaceChildren(
    ...(notes.length === 0
      ? []
      : [
          element("h2", {}, "Notes"),
          element(
            "ul",
            { class: "notes" },
            ...notes.map(({ level, message }) =>
              element("li", { class: level }, level === "warning" ? `Warning: ${message}` : message),
            ),
          ),
        ]),
  );
}

/** For those who listen: the state and finished tasks, and no figures that pass. */
function sayChanges(before: RunDetail | null, now: RunDetail): void {
  if (!before) return;
  if (before.status !== now.status) announce(`the run is ${statusText(now)}`);
  else if (before.tasksDone < now.tasksDone) {
    const index = now.tasksDone - 1;
    const accuracy = now.accuracy[index]?.[index];
    announce(
      `task ${index + 1}, ${now.tasks[index]}: accuracy ${accuracy == null ? NONE : accuracy.toFixed(1)} %`,
    );
  }
}
