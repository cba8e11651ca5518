/** What the server and its pages say to each other: plain JSON. Types only, so that both sides can have them. */

export type RunStatus = "starting" | "running" | "done" | "interrupted" | "failed";

/** A run in the list. Accuracies in percent, times in milliseconds since 1970. */
export interface RunSummary {
  readonly id: string;
  /** Its folder, from the folder that the dashboard shows. */
  readonly name: string;
  readonly status: RunStatus;
  /** Whether this dashboard's process trains it, and so can stop it at once. */
  readonly isHere: boolean;
  /** Whether another process of the same machine trains it, which can be asked to stop. */
  readonly isElsewhere: boolean;
  readonly method: string;
  readonly model: string;
  readonly seed: number | null;
  readonly tasks: readonly string[];
  readonly tasksDone: number;
  readonly averageAccuracy: number | null;
  readonly forgettingRate: number | null;
  readonly startedAt: number;
  /** When its journal was last written. */
  readonly changedAt: number;
  /** Why it cannot be read. */
  readonly damage: string | null;
}

export interface RunList {
  readonly runs: readonly RunSummary[];
}

export interface About {
  /** Whether new runs can be started here; otherwise one run is shown. */
  readonly canStart: boolean;
}

export interface Progress {
  /** Of the task, from 0; -1 before the first. */
  readonly index: number;
  readonly steps: number;
  readonly step: number;
  readonly epoch: number | null;
  readonly taskLoss: number | null;
  readonly penalties: Readonly<Record<string, number | null>>;
  readonly measures: Readonly<Record<string, number | null>>;
  readonly lr: number | null;
  readonly gradNorm: number | null;
  readonly tokensPerSecond: number | null;
  readonly answering: { readonly task: string; readonly done: number; readonly rows: number } | null;
  /** What is fetched before training, with the share that is there. */
  readonly download: string | null;
  /** Of the current activity, 0 to 1. */
  readonly share: number;
  readonly secondsLeft: number | null;
  /** Resident bytes of the training process; null where it is not this dashboard's. */
  readonly memory: number | null;
}

export interface RunDetail extends RunSummary {
  readonly canResume: boolean;
  readonly progress: Progress;
  /** Rows: tasks; columns: after training task j. */
  readonly accuracy: readonly (readonly (number | null)[])[];
  readonly baseAccuracy: readonly (number | null)[];
  /** Name and value as text. */
  readonly metrics: readonly (readonly [string, string])[];
  readonly notes: readonly { readonly level: "info" | "warning"; readonly message: string }[];
  readonly error: { readonly message: string; readonly hint: string | null } | null;
  /** `<after>/<task>` by index, after from -1, where answers were saved. */
  readonly predictions: readonly string[];
  /** Logged steps so far, over all tasks. */
  readonly loggedSteps: number;
}

/** As runs/history.ts has it; NaN is null in JSON. */
export interface TaskCurves {
  readonly task: string;
  readonly index: number;
  readonly before: number;
  readonly planned: number;
  readonly steps: readonly number[];
  readonly series: Readonly<Record<string, readonly (number | null)[]>>;
  readonly penalties: readonly string[];
  readonly measures: readonly string[];
}

export interface Curves {
  readonly tasks: readonly TaskCurves[];
}

/** One message of a run's stream. */
export interface RunUpdate {
  readonly detail: RunDetail;
  /** All of the run, or the steps that are new since the message before; null: none. */
  readonly curves: Curves | null;
  readonly isWhole: boolean;
}

export interface PredictionRow {
  readonly row: number;
  readonly input: string;
  readonly target: string;
  readonly prediction: string;
  readonly correct: boolean;
}

export interface PredictionPage {
  readonly rows: readonly PredictionRow[];
  /** From 0. */
  readonly page: number;
  readonly pages: number;
  readonly found: number;
  /** Of all rows, whatever is searched for. */
  readonly right: number;
  readonly wrong: number;
}

export interface FormField {
  readonly kind: "field";
  readonly path: string;
  readonly label: string;
  readonly help: string;
  readonly control: "text" | "number" | "choice" | "flag" | "yaml";
  /** As it is written in a config; empty where there is none. */
  readonly default: string;
  readonly options?: readonly string[];
  readonly isRequired: boolean;
}

export interface FormGroup {
  readonly kind: "group";
  readonly path: string;
  readonly label: string;
  readonly help: string;
  /** Null unless it is switched on. */
  readonly isOptional: boolean;
  readonly items: readonly FormItem[];
}

export interface FormVariants {
  readonly kind: "variants";
  readonly path: string;
  readonly label: string;
  readonly help: string;
  /** The key that tells them apart. */
  readonly tag: string;
  readonly default: string;
  readonly variants: readonly {
    readonly name: string;
    readonly title: string;
    readonly items: readonly FormItem[];
  }[];
}

export type FormItem = FormField | FormGroup | FormVariants;

/** Settings that differ from their defaults: a field's path and what was written into it. */
export type FormValues = Readonly<Record<string, string>>;

export interface Problem {
  /** The setting; empty where it is none alone. */
  readonly path: string;
  readonly message: string;
}

/** What would be run, or what is wrong. */
export type Check =
  | { readonly yaml: string; readonly problems: readonly [] }
  | { readonly yaml: null; readonly problems: readonly Problem[] };

export interface Failure {
  readonly error: { readonly message: string; readonly hint: string | null };
}
