/**
 * A run as curves: its events as named numbers over one axis, the updates of all tasks counted on. What loggers write is
 * these points and nothing else.
 */
import type { RunEvent } from "../learn/events.js";
import type { RunRecord } from "../runs/record.js";
import { FIGURES } from "../study/summary.js";

export interface Point {
  /** `train/task_loss`, `accuracy`, `task/seconds`, .. */
  readonly series: string;
  /** The task that is trained, or was tested: `<number from 1>-<name>`; null: the run as a whole. */
  readonly task: string | null;
  /** Updates since the start of the stream, those of earlier tasks included; 0: the untouched base model. */
  readonly step: number;
  /** Tasks that were trained at this point. */
  readonly tasksTrained: number;
  /** Finite. */
  readonly value: number;
}

const TRAIN = "train/";

/**
 * Names of a point's curves. Training curves run through all tasks, and the task loss has a curve of each task besides;
 * everything else is a curve of its task. No name is another's folder.
 */
export function curvesOf({ series, task }: Point): string[] {
  if (task === null) return [series];
  if (!series.startsWith(TRAIN)) return [`${series}/${task}`];
  return series === `${TRAIN}task_loss` ? [series, `task_loss/${task}`] : [series];
}

export const taskLabel = (index: number, name: string): string => `${index + 1}-${name}`;

type Numbers = Readonly<Record<string, number | null | undefined>>;

const prefixed = (prefix: string, numbers: Readonly<Record<string, number>> = {}): Record<string, number> =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [`${prefix}/${name}`, value]));

/** Follows a run and makes points of its events. */
export class RunPoints {
  /** Updates of each task, by index. */
  readonly #steps = new Map<number, number>();
  #accuracies = new Map<number, number>();
  #step = 0;

  /** `earlier`: events of earlier starts of the run, where it is resumed. */
  constructor(earlier: Iterable<RunEvent> = []) {
    for (const event of earlier) this.of(event);
  }

  /** Updates up to the last event. */
  get step(): number {
    return this.#step;
  }

  /** Updates before a task's first. */
  before(index: number): number {
    return [...this.#steps].reduce((sum, [task, steps]) => (task < index ? sum + steps : sum), 0);
  }

  of(event: RunEvent): Point[] {
    switch (event.type) {
      case "task-start":
        this.#steps.set(event.index, event.steps);
        this.#step = this.before(event.index);
        this.#accuracies.clear();
        return [];
      case "step": {
        const { task, index, step, taskLoss, penalties, lr, gradNorm, tokensPerSecond, measures } = event;
        this.#step = this.before(index) + step;
        return this.#points(TRAIN, taskLabel(index, task), index, {
          task_loss: taskLoss,
          ...prefixed("penalty", penalties),
          learning_rate: lr,
          gradient_norm: gradNorm,
          tokens_per_second: tokensPerSecond,
          ...prefixed("measure", measures),
        });
      }
      case "evaluation": {
        const { task, index, afterIndex, accuracy, outOfLabelRate } = event;
        this.#accuracies.set(index, accuracy);
        return this.#points("", taskLabel(index, task), afterIndex + 1, {
          accuracy,
          out_of_label_rate: outOfLabelRate,
        });
      }
      case "task-end": {
        const { task, index, seconds, deltaNorm, keptBytes, measures } = event;
        const seen = Array.from({ length: index + 1 }, (_, k) => this.#accuracies.get(k));
        const known = seen.filter((value) => value !== undefined);
        const average = known.length === seen.length ? known.reduce((sum, each) => sum + each, 0) : null;
        return [
          ...this.#points("", null, index + 1, { average_accuracy: average && average / seen.length }),
          ...this.#points("task/", taskLabel(index, task), index + 1, {
            seconds,
            update_norm: deltaNorm,
            kept_bytes: keptBytes,
            ...prefixed("measure", measures),
          }),
        ];
      }
      default:
        return [];
    }
  }

  /** What the whole run amounts to: `run/<figure>`, as far as it is known. */
  ofRecord(record: RunRecord): Point[] {
    const figures = Object.entries(FIGURES).map(([name, figure]) => [name, figure(record)] as const);
    return this.#points("run/", null, record.tasks.length, Object.fromEntries(figures));
  }

  #points(prefix: string, task: string | null, tasksTrained: number, numbers: Numbers): Point[] {
    return Object.entries(numbers).flatMap(([name, value]) =>
      typeof value === "number" && Number.isFinite(value)
        ? [{ series: prefix + name, task, step: this.#step, tasksTrained, value }]
        : [],
    );
  }
}
