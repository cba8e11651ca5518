/** The paper's experiments as lists of runs: methods x orders x seeds, each run a preset with a few settings changed. */
import { type PresetScale, type PresetValues, type Protocol, preset } from "../experiment/presets.js";
import { METHOD_NAMES, type MethodName, STANDALONE_NAMES } from "../methods/registry.js";

/** A row of a study's table: a method, or a variant of one. */
export interface StudyRow {
  readonly label: string;
  readonly method: MethodName;
  readonly protocol?: Protocol;
  /** Settings changed from the preset, by config key. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Of a control: the label of an earlier row, whose run of the same order and seed it is matched to. */
  readonly reference?: string;
}

export interface Study {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly StudyRow[];
  readonly orders: readonly string[];
  readonly seeds: readonly number[];
  /** Whether runs are also summed up along the stream. */
  readonly along?: true;
  /** Settings of all runs. */
  readonly set?: Readonly<Record<string, unknown>>;
}

export interface StudyRun {
  readonly row: StudyRow;
  readonly order: string;
  readonly seed: number;
  /** Its folder within the study's, the same for the same run in every study. */
  readonly id: string;
  /** The id of the run that it is matched to, which has to be finished first. */
  readonly reference?: string;
  /** The content of its config file, and what is set on top, as `--set` takes it. */
  readonly values: PresetValues;
  readonly set: readonly string[];
}

const SHORT = ["order-1", "order-2", "order-3"];
const LONG = ["order-4", "order-5", "order-6"];
/** Small at any scale. */
const GENERATED = ["long", "drift"];
const ONLINE = ["online-sudden", "online-gradual", "online-drift", "online-recurring"];
const SEEDS = [42, 43, 44, 45, 46];
/** The methods whose comparison the paper is about; they get more seeds. */
const CENTRAL = ["n-lora", "o-lora", "inc-lora", "seq-lora", "null-space-lora"];

const asRows = (names: readonly string[]): StudyRow[] =>
  METHOD_NAMES.filter((name) => names.includes(name)).map((name) => ({ label: name, method: name }));

const nLora = (label: string, kind: string): StudyRow => ({
  label,
  method: "n-lora",
  set: { "method.penalty.kind": kind },
});

/** How a stream without boundaries is cut into adapters. */
const BOUNDARIES = {
  "boundaries known": { boundaries: "known" },
  detected: { boundaries: "detected" },
  "detected and rolled back": { boundaries: "detected", onAlarm: "roll-back" },
  "every 160 rows": { boundaries: { every: 160 } },
  "one adapter": { boundaries: "none" },
} as const;

/** Held-out training rows stand in for the test rows, which nothing is chosen on. */
const HELD_OUT = { "data.holdOut": { rows: 200 }, "data.testRows": 200 };

/** Values of a setting, or of several together, that a method is searched over; the others stay at the preset's. */
interface Sweep {
  readonly key: string | readonly string[];
  readonly values: readonly number[];
}

const rates = (...values: readonly number[]): Sweep => ({ key: "training.learningRate", values });
const ADAPTER_RATES = rates(3e-4, 1e-3, 3e-3, 5e-3, 1e-2);
const MODEL_RATES = rates(3e-5, 1e-4, 3e-4, 1e-3, 3e-3);
const PROMPT_RATES = rates(0.1, 0.3, 1, 3, 10);

/** Five values around the default of a method's own strength, and of its rate. */
const SEARCHED: Partial<Record<string, readonly Sweep[]>> = {
  "n-lora": [{ key: "method.lambda", values: [0.005, 0.02, 0.05, 0.1, 0.4] }, ADAPTER_RATES],
  "o-lora": [{ key: "method.lambda1", values: [0.005, 0.05, 0.5, 5, 50] }, ADAPTER_RATES],
  "o-lora-n-lora": [
    { key: "method.lambda1", values: [0.005, 0.05, 0.5, 5, 50] },
    { key: "method.lambda", values: [0.005, 0.02, 0.05, 0.1, 0.4] },
    ADAPTER_RATES,
  ],
  "prox-lora": [{ key: ["method.mu", "method.nu"], values: [0.25, 0.5, 1, 2, 4] }, ADAPTER_RATES],
  "mask-lora": [ADAPTER_RATES],
  "null-space-lora": [{ key: "method.energy", values: [0.8, 0.9, 0.95, 0.98, 0.995] }, ADAPTER_RATES],
  "inc-lora": [ADAPTER_RATES],
  "seq-lora": [ADAPTER_RATES],
  "seq-ft": [MODEL_RATES],
  "per-task-ft": [MODEL_RATES],
  mtl: [MODEL_RATES],
  replay: [{ key: "method.rho", values: [0.05, 0.1, 0.25, 0.5, 0.75] }, MODEL_RATES],
  ewc: [{ key: "method.lambda", values: [0.1, 1, 10, 100, 1000] }, MODEL_RATES],
  lwf: [{ key: "method.lambdaO", values: [0.1, 0.3, 1, 3, 10] }, MODEL_RATES],
  l2p: [PROMPT_RATES],
  lfpt5: [PROMPT_RATES],
  "prog-prompt": [PROMPT_RATES],
};

const searchRows = (names: readonly string[]): StudyRow[] =>
  asRows(names).flatMap((row) =>
    (SEARCHED[row.method] ?? []).flatMap((search) => {
      const keys = [search.key].flat();
      const name = keys.map((key) => key.split(".").at(-1)).join(" ");
      return search.values.map((value) => ({
        label: `${row.label} ${name} ${value}`,
        method: row.method,
        set: Object.fromEntries(keys.map((key) => [key, value])),
      }));
    }),
  );

/** Every study by name. Rows of methods that take several seeds come with those of the study. */
export const STUDIES: readonly Study[] = [
  {
    name: "table-1",
    title: "Average accuracy of every method (Table 1), equal protocol",
    rows: asRows(STANDALONE_NAMES),
    orders: [...SHORT, ...LONG],
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "own-protocol",
    title: "O-LoRA under its own published setting beside the equal protocol",
    rows: [...asRows(["n-lora", "o-lora"]), { label: "o-lora (own)", method: "o-lora", protocol: "own" }],
    orders: SHORT,
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "table-4",
    title: "O-LoRA, N-LoRA and both together (Table 4)",
    rows: asRows(["o-lora", "n-lora", "o-lora-n-lora"]),
    orders: [...SHORT, ...LONG],
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "table-8",
    title: "Deviation over five seeds (Table 8)",
    rows: asRows(["o-lora", "n-lora"]),
    orders: [...SHORT, ...LONG],
    seeds: SEEDS,
  },
  {
    name: "figure-4",
    title: "Accuracy on the last task before it is trained (Figure 4)",
    rows: asRows(["inc-lora", "o-lora", "n-lora"]),
    orders: [...SHORT, ...LONG],
    seeds: SEEDS.slice(0, 3),
    set: { "evaluation.tasks": "all", "evaluation.base": true },
  },
  {
    name: "figure-5",
    title: "Sparsity, collisions and forgetting (Figure 5)",
    rows: asRows(["o-lora", "n-lora"]),
    orders: [...SHORT, ...LONG],
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "figure-6",
    title: "Ablations of what is penalised (Figure 6): nothing, A, B, both, the update",
    rows: [
      nLora("NS", "none"),
      nLora("SA", "factor-a"),
      nLora("SB", "factor-b"),
      nLora("SAB", "factors"),
      { label: "n-lora", method: "n-lora" },
    ],
    orders: SHORT,
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "released-code",
    title: "The paper's penalty beside the released code's (r x r)",
    rows: [{ label: "n-lora", method: "n-lora" }, nLora("n-lora (released code)", "released-code")],
    orders: SHORT,
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "controls",
    title:
      "What sparsity does beyond smallness: norms and supports matched, collisions ruled out, names shuffled",
    rows: [
      ...asRows(["inc-lora", "n-lora", "prox-lora", "mask-lora"]),
      { label: "norms of n-lora", method: "norm-matched-lora", reference: "n-lora" },
      {
        label: "norms of n-lora at the end",
        method: "norm-matched-lora",
        reference: "n-lora",
        set: { "method.when": "task-end" },
      },
      { label: "norms of prox-lora", method: "norm-matched-lora", reference: "prox-lora" },
      { label: "supports of prox-lora", method: "random-support-lora", reference: "prox-lora" },
      ...["inc-lora", "n-lora"].map((method) => ({
        label: `${method} (names shuffled)`,
        method: method as MethodName,
        set: { "data.promptIdentity": "shuffled" },
      })),
    ],
    orders: SHORT,
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "beyond-paper",
    title:
      "What is not in the paper: exact zeros, room kept apart, strengths that know collisions or seek a target",
    rows: [
      ...asRows(["n-lora", "prox-lora", "mask-lora", "null-space-lora"]),
      { label: "n-lora (collision-aware)", method: "n-lora", set: { "method.penalty.gamma": 1 } },
      { label: "n-lora (target GSR 0.4)", method: "n-lora", set: { "method.target.gsr": 0.4 } },
      { label: "prox-lora (collision-aware)", method: "prox-lora", set: { "method.gamma": 1 } },
      { label: "prox-lora (target density 0.2)", method: "prox-lora", set: { "method.target.density": 0.2 } },
      {
        label: "mask-lora (columns)",
        method: "mask-lora",
        set: { "method.rows": "all", "method.columns": "share" },
      },
      { label: "null-space-lora (no penalty)", method: "null-space-lora", set: { "method.lambda": 0 } },
      { label: "o-lora (whole updates)", method: "o-lora", set: { "method.orth": "updates" } },
    ],
    orders: SHORT,
    seeds: SEEDS.slice(0, 1),
  },
  {
    name: "long-stream",
    title: "A hundred generated tasks, and eight phases of one whose labels change their meaning",
    rows: asRows(["inc-lora", "o-lora", "n-lora", "mask-lora"]),
    orders: GENERATED,
    seeds: SEEDS.slice(0, 1),
    along: true,
  },
  {
    name: "task-free",
    title: "Streams that do not say where a task ends: adapters opened where the losses change, or not",
    rows: ["n-lora", "null-space-lora"].flatMap((method) =>
      Object.entries(BOUNDARIES).map(([label, online]) => ({
        label: `${method} (${label})`,
        method: method as MethodName,
        set: Object.fromEntries(Object.entries(online).map(([key, value]) => [`online.${key}`, value])),
      })),
    ),
    orders: ONLINE,
    seeds: SEEDS.slice(0, 3),
  },
  {
    name: "lambda",
    title: "N-LoRA's strength on held-out training rows: accuracy against collisions",
    rows: [0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4].map((lambda) => ({
      label: `lambda ${lambda}`,
      method: "n-lora" as const,
      set: { "method.lambda": lambda },
    })),
    orders: ["order-1"],
    seeds: SEEDS.slice(0, 1),
    set: HELD_OUT,
  },
  {
    name: "search",
    title: "Every method's own strength and its rate, five values each, on held-out training rows",
    rows: searchRows([...METHOD_NAMES]),
    orders: ["order-1"],
    seeds: SEEDS.slice(0, 1),
    set: HELD_OUT,
  },
];

/** What to take of a study; what is left out is the study's own. */
export interface Selection {
  readonly scale: PresetScale;
  /** Labels of rows, or methods where no row is labelled so. */
  readonly methods?: readonly string[] | undefined;
  readonly orders?: readonly string[] | undefined;
  readonly seeds?: readonly number[] | undefined;
  readonly set?: readonly string[] | undefined;
}

/**
 * The runs of a study, the first seed of all rows and orders first, so that a study that is stopped has a whole table.
 * At mini scale studies take orders 1 to 3, and Table 1 takes more than one seed for the central methods alone.
 */
export function studyRuns(study: Study, selection: Selection): StudyRun[] {
  const { scale, methods, seeds = study.seeds, set = [] } = selection;
  const own = scale === "mini" ? study.orders.filter((order) => !LONG.includes(order)) : study.orders;
  const orders = selection.orders ?? own;
  const isLabel = (word: string) => study.rows.some(({ label }) => label === word);
  const wanted = study.rows.filter(
    ({ label, method }) =>
      !methods || methods.includes(label) || methods.some((word) => word === method && !isLabel(word)),
  );
  const rows = study.rows.filter(
    (row) => wanted.includes(row) || wanted.some(({ reference }) => reference === row.label),
  );
  const centralOnly = scale === "mini" && study.name === "table-1" && selection.seeds === undefined;
  return seeds.flatMap((seed, turn) =>
    orders.flatMap((order) =>
      rows
        .filter(({ method }) => turn === 0 || !centralOnly || CENTRAL.includes(method))
        .map((row) => ({
          row,
          order,
          seed,
          id: idOf(study, row.label, order, seed),
          ...(row.reference && { reference: idOf(study, row.reference, order, seed) }),
          values: {
            ...preset({ order, method: row.method, scale, ...(row.protocol && { protocol: row.protocol }) }),
            seed,
          },
          set: [...assignments(study.set), ...assignments(row.set), ...set],
        })),
    ),
  );
}

/** Runs with settings of their study's own are no other study's runs. */
function idOf(study: Study, label: string, order: string, seed: number): string {
  const folder = study.set ? `${study.name}/` : "";
  return `${folder}${label.replaceAll(/[^A-Za-z0-9.-]+/g, "-").replace(/-$/, "")}/${order}/seed-${seed}`;
}

const assignments = (settings: Readonly<Record<string, unknown>> = {}): string[] =>
  Object.entries(settings).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
