/** The part of a report on one run. */
import { stringify } from "yaml";
import type { Figure } from "../figures/figure.js";
import { type Content, element, type Markup } from "../figures/markup.js";
import {
  accuracyMatrix,
  accuracyOverStream,
  lossCurves,
  measureCurves,
  penaltyCurves,
  prequentialCurve,
} from "../figures/run-figures.js";
import { bytes, count, duration, fixed, NONE, significant } from "../format.js";
import { metricsOf } from "../runs/metric-rows.js";
import type { RunRecord } from "../runs/record.js";
import { details, facts, figureOf, heading, list, paragraph, table, warning } from "./page.js";
import { presetMatch } from "./preset-match.js";
import { type ReportedRun, shareable } from "./reported-run.js";
import { lossInWords, methodInWords, statusOf } from "./words.js";

/** The figures of a run, `prefix` before the names of all. */
export function runFigures({ record, history }: ReportedRun, prefix: string): Figure[] {
  if (record === null) return [];
  const penalties = penaltyCurves(history.tasks);
  const isTrained = history.tasks.some(({ steps }) => steps.length > 0);
  const figures: Figure[] = [
    accuracyOverStream(record),
    accuracyMatrix(record),
    ...(record.online ? [prequentialCurve(record.online)] : []),
    ...(isTrained ? [lossCurves(history.tasks)] : []),
    ...(penalties ? [penalties] : []),
    ...measureCurves(history.tasks),
  ];
  return figures.map((figure) => ({ ...figure, id: `${prefix}-${figure.id}` }));
}

export function runSection(run: ReportedRun, figures: readonly Figure[], id: string): Markup {
  const { record, journal } = run;
  const status = statusOf(run);
  const parts: Content[] = [
    heading(2, [`${titleOf(run)} `, element("span", { class: "status" }, status.short)], id),
    status.long === null ? null : warning(status.long),
    run.configProblem === null
      ? null
      : warning(`${run.configProblem}; the settings are therefore not shown.`),
    heading(3, "What was run"),
    facts(settingsOf(run)),
    run.config === null
      ? null
      : details("All settings", element("pre", {}, stringify(shareable(run.config), { lineWidth: 100 }))),
    heading(3, "On what"),
    dataTable(run),
    journal.notes.length === 0 ? null : list(journal.notes.map(({ message }) => message)),
  ];
  if (record !== null) {
    parts.push(
      heading(3, "What the loss was"),
      lossInWords(record).map((sentence) => paragraph(sentence)),
      heading(3, "Accuracy"),
      accuracyTable(record),
      heading(3, "Metrics"),
      metricsTable(record),
      tasksTable(run, record),
      paperPart(run, record),
      figures.length === 0 ? null : heading(3, "Figures"),
      figures.map(figureOf),
      heading(3, "What it cost"),
      facts(costOf(run, record)),
    );
  }
  return element("section", { class: "run" }, ...parts);
}

const titleOf = ({ record, config, name }: ReportedRun): string =>
  record === null
    ? `${config?.method.name ?? "run"}: ${name}`
    : `${record.method}, seed ${record.seed}: ${name}`;

const perTask = (value: number | readonly number[]): string =>
  typeof value === "number" ? String(value) : value.join(", ");

const text = (value: unknown): string | null => (value == null ? null : String(value));

function settingsOf({ config, record, journal }: ReportedRun): [string, Content][] {
  const engine = record?.engine ?? {};
  const parts: [string, Content][] = [
    ["method", methodInWords(record?.method ?? config?.method.name ?? "unknown")],
    [
      "model",
      record
        ? `${record.model}${record.modelRevision ? `, revision ${record.modelRevision}` : ""}`
        : text(config?.model.split("/").at(-1)),
    ],
    ["seed", text(record?.seed ?? config?.seed)],
  ];
  if (config !== null) {
    const { lora, training } = config;
    const isFull = "backbone" in config.method && config.method.backbone === "full";
    parts.push(
      [
        "adapters",
        isFull
          ? "none: all weights are trained"
          : `LoRA of rank ${lora.rank}, alpha ${lora.alpha}, dropout ${lora.dropout}, on ${lora.targetModules?.join(", ") ?? "the family's default modules"}; earlier ones ${lora.previousAdapters}`,
      ],
      [
        "training",
        `${perTask(training.epochs)} epochs, batches of ${training.batchSize}, learning rate ${perTask(training.learningRate)}` +
          `, AdamW (betas ${training.betas.join(", ")}, weight decay ${training.weightDecay})` +
          `, ${training.clip.norm === null ? "no clipping" : `gradient norm clipped at ${training.clip.norm} (${training.clip.scope})`}` +
          `${training.maxSteps === null ? "" : `, at most ${training.maxSteps} steps a task`}`,
      ],
    );
  }
  if (record && record.startFrom.length > 0) {
    parts.push([
      "started from",
      record.startFrom.map(({ name, rank }) => `${name} (rank ${rank})`).join(", "),
    ]);
  }
  const libtorch = text(engine.libtorch);
  parts.push(
    [
      "precision and device",
      engine.dtype === undefined ? null : `${String(engine.dtype)} on ${String(engine.device)}`,
    ],
    [
      "engine",
      libtorch === null
        ? null
        : `libtorch ${libtorch} (${String(engine.origin)}), BLAS ${String(engine.blas).replaceAll(/\/\S*\//g, "")}, ${String(engine.threads)} ${engine.threads === 1 ? "thread" : "threads"}, ${engine.fusedKernels === true ? "own fused kernels" : "plain operators"}`,
    ],
    [
      "processor",
      engine.processor === undefined
        ? null
        : `${String(engine.processor)}${Array.isArray(engine.vectorExtensions) ? ` (${engine.vectorExtensions.join(", ")})` : ""}`,
    ],
    [
      "started",
      journal.startedAt === null
        ? null
        : `${journal.startedAt}${journal.starts > 1 ? `, ${journal.starts} starts in all` : ""}`,
    ],
  );
  return parts;
}

function dataTable({ config, record, journal }: ReportedRun): Markup {
  const names = record?.tasks ?? journal.tasks.map(({ task }) => task);
  const length = (task: string, split: string) =>
    journal.lengths.find((each) => each.task === task && each.split === split);
  const lengths = (task: string, split: string): Content => {
    const found = length(task, split);
    return found ? `${found.median} / ${found.p95} / ${found.max}` : null;
  };
  const source = config === null ? "" : `, ${sourceOf(config.data)}`;
  const limit = journal.lengths[0]?.limit;
  return table(
    `${names.length} tasks in the order of training${source}. Lengths: tokens of the sources, median / 95 % / largest${limit === undefined ? "" : `, cut at ${limit}`}.`,
    ["task", "training rows", "test rows", "lengths, training", "cut", "lengths, test", "cut"],
    names.map((task, index) => {
      const [train, test] = [length(task, "train"), length(task, "test")];
      const rows = journal.tasks.find((each) => each.index === index)?.rows ?? train?.rows;
      const tested = journal.testRows.get(task) ?? test?.rows;
      return [
        `${index + 1} ${task}`,
        text(rows),
        text(tested),
        lengths(task, "train"),
        text(train?.truncated),
        lengths(task, "test"),
        text(test?.truncated),
      ];
    }),
  );
}

function sourceOf(data: NonNullable<ReportedRun["config"]>["data"]): string {
  switch (data.kind) {
    case "benchmark":
      return `of the continual-learning benchmark (${data.tasks ? "tasks named one by one" : `order ${data.order}`}; prompts name ${data.promptIdentity})`;
    case "files":
      return "from the reader's own files or datasets";
    case "synthetic":
      return `generated (${data.stream})`;
  }
}

function accuracyTable(record: RunRecord): Markup {
  const { tasks, accuracy, baseAccuracy } = record;
  const base = baseAccuracy.some((value) => value !== null);
  const percent = (value: number | null | undefined): Content => (value == null ? null : value.toFixed(1));
  return table(
    "Accuracy in percent on each task (rows) after each task was trained (columns).",
    ["tested on", ...(base ? ["base model"] : []), ...tasks.map((task, index) => `${index + 1} ${task}`)],
    tasks.map((task, index) => [
      `${index + 1} ${task}`,
      ...(base ? [percent(baseAccuracy[index])] : []),
      ...tasks.map((_, after) => percent(accuracy[index]?.[after])),
    ]),
    { columns: 8 },
  );
}

const metricsTable = (record: RunRecord): Markup =>
  table(
    "What was not measured or cannot be computed says so; it never counts as 0. ΔW is meant without the LoRA scale.",
    ["metric", "value"],
    metricsOf([record]).map(({ name, value, format }) => {
      const measured = value(record);
      return [name, measured === null ? null : format(measured)];
    }),
  );

function tasksTable({ journal }: ReportedRun, record: RunRecord): Markup {
  const { tasks, accuracy, deltaNorms, measures, keptBytes, outOfLabelRate } = record;
  const names = [...new Set(measures?.flatMap((each) => Object.keys(each ?? {})) ?? [])];
  const optional = (value: number | null | undefined, format: (value: number) => string): Content =>
    value == null ? null : format(value);
  return table(
    "Task by task. Own: right after it was trained; end: after the last task; kept: what the method keeps after it.",
    [
      "task",
      "own, %",
      "end, %",
      "out of label at the end, %",
      "‖ΔW‖_F",
      ...names,
      "trained numbers",
      "steps",
      "kept",
    ],
    tasks.map((task, index) => {
      const begun = journal.tasks.find((each) => each.index === index);
      return [
        `${index + 1} ${task}`,
        optional(accuracy[index]?.[index], fixed),
        optional(accuracy[index]?.at(-1), fixed),
        optional(outOfLabelRate[index]?.at(-1), (rate) => fixed(100 * rate)),
        optional(deltaNorms[index], significant),
        ...names.map((name) => optional(measures?.[index]?.[name], significant)),
        optional(begun?.trainable, count),
        optional(begun?.steps, String),
        optional(keptBytes?.[index], bytes),
      ];
    }),
  );
}

function paperPart({ config }: ReportedRun, record: RunRecord): Content {
  const match = config && presetMatch(config, record.tasks);
  if (!match) return null;
  const { choice, differences, paperAccuracy } = match;
  const { order, scale, protocol } = choice;
  const name = `${order}${protocol === "own" ? ", the method's own protocol" : ""}, at ${scale === "paper" ? "the paper's size" : "the size of the bundled model (mini)"}`;
  const own = record.averageAccuracy;
  return [
    heading(3, "Beside the paper"),
    paragraph(
      differences.length === 0
        ? `The run is the preset ${name}.`
        : `The nearest preset is ${name}; the run differs from it in ${differences.length} settings.`,
    ),
    differences.length === 0
      ? null
      : table(
          null,
          ["setting", "here", "preset"],
          differences.map(({ key, here, preset }) => [key, shown(here), shown(preset)]),
          { words: true },
        ),
    table(
      scale === "paper"
        ? null
        : "The paper's model is larger by far: levels cannot be compared, only methods with each other.",
      ["average accuracy (AA), %", "here", "the paper"],
      [
        [
          `${record.method} on ${order}`,
          own === null ? null : fixed(own),
          paperAccuracy === null ? "not reported" : fixed(paperAccuracy, 1),
        ],
      ],
    ),
  ];
}

const shown = (value: unknown): string =>
  value === undefined
    ? NONE
    : typeof value === "string" && value.startsWith("/")
      ? value.split("/").at(-1)!
      : JSON.stringify(value);

function costOf({ journal }: ReportedRun, record: RunRecord): [string, Content][] {
  const { timings, keptBytes, peakMemory } = record;
  // What was logged of each task, over the time that its finished training took in all.
  const speeds = journal.tasks.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []);
  const speed = speeds.length === 0 ? null : speeds.reduce((sum, each) => sum + each, 0) / speeds.length;
  const kept = keptBytes?.findLast((value) => value !== null) ?? null;
  return [
    ["training", duration(timings.trainSeconds)],
    ["evaluation", duration(timings.evaluationSeconds)],
    ["from start to end", duration(timings.totalSeconds)],
    ["speed of training", speed === null ? null : `${count(speed)} tokens/s, mean of the logged steps`],
    [
      "tokens trained on",
      speed === null ? null : `about ${count(speed * timings.trainSeconds)}, from speed and time`,
    ],
    ["largest memory of the training process", peakMemory == null ? null : bytes(peakMemory)],
    ["kept after the last task", kept === null ? null : bytes(kept)],
  ];
}
