/**
 * Replay: a few training rows of every finished task are kept, class by class, and trained on again beside the new ones:
 * L = (1 - rho) * mean CE(new rows) + rho * mean CE(replayed rows). A batch keeps all its new rows; the replayed ones are
 * added, so that they are the share rho of it.
 */
import type { BatchPlan } from "../data/batches.js";
import { groupBy } from "../data/sample.js";
import { ConfigError } from "../errors.js";
import { BACKBONE, openBackbone } from "./backbone.js";
import {
  defineMethod,
  type MethodSetup,
  ownRows,
  type Share,
  type StepPlan,
  type TaskContext,
} from "./method.js";
import { withBackbone } from "./options.js";
import {
  type ClassCount,
  type MemoryOptions,
  memoryOptions,
  ReplayMemory,
  type StoredRow,
} from "./replay-memory.js";
import { sequentialMethod } from "./sequential.js";

type Stream = MethodSetup<object>["tasks"];

export const replay = defineMethod({
  name: "replay",
  title: "Replay",
  trains: BACKBONE,
  keeps: "the model, and training rows as text",
  options: { ...withBackbone, ...memoryOptions },
  create(setup) {
    const { options, tasks } = setup;
    const { backbone, sparsity, memory: kept, rho, schedule, k } = options;
    checkMemory(kept, tasks);
    const memory = new ReplayMemory(kept);
    return sequentialMethod(openBackbone(setup, backbone, sparsity), {
      penaltyRecord: { kind: "replay", memory: kept, rho, schedule, ...(schedule === "everyK" && { k }) },
      plan(task, plan) {
        const own = ownRows(task, plan);
        if (memory.rows.length === 0) return own;
        return schedule === "mixed" ? mixed(own, memory, rho, plan) : everyK(own, memory, k, plan);
      },
      afterTask: (task) => memory.add(storedRows(task, tasks), task.rng.fork("memory")),
      state: () => ({ tensors: {}, rows: { memory: memory.rows, classes: memory.counts } }),
      restore(finished) {
        const { rows } = finished.at(-1)!.state();
        memory.restore(rows.memory as StoredRow[], rows.classes as ClassCount[]);
      },
    });
  },
});

/** The rows of a task with what is kept of each. */
function storedRows({ name, index, rows }: TaskContext, tasks: Stream): StoredRow[] {
  const { labels, train } = tasks[index]!;
  return rows.map((example, row) => {
    const { input, output } = train[row]!;
    return { task: name, label: labels ? output : "", input, output, example };
  });
}

/** Replayed rows in every batch. */
function mixed(own: StepPlan, memory: ReplayMemory, rho: number, plan: BatchPlan): StepPlan {
  if (rho === 0) return own;
  const rng = plan.rng.fork("replay");
  return {
    ...own,
    steps: (function* () {
      for (const [{ rows }] of own.steps as Iterable<[Share]>) {
        const count = Math.max(1, Math.round((rows.length * rho) / (1 - rho)));
        yield [
          { rows, weight: 1 - rho, term: null },
          { rows: memory.draw(count, rng), weight: rho, term: "replay" },
        ];
      }
    })(),
  };
}

/** A batch of replayed rows after every k batches of an epoch. */
function everyK(own: StepPlan, memory: ReplayMemory, k: number, plan: BatchPlan): StepPlan {
  const rng = plan.rng.fork("replay");
  return {
    stepsPerEpoch: own.stepsPerEpoch + Math.floor(own.stepsPerEpoch / k),
    steps: (function* () {
      let step = 0;
      for (const shares of own.steps) {
        yield shares;
        step = (step % own.stepsPerEpoch) + 1;
        if (step % k === 0) yield [{ rows: memory.draw(plan.batchSize, rng), weight: 1, term: null }];
      }
    })(),
  };
}

/** Throws a ConfigError when more rows are to be kept than there are. */
function checkMemory(memory: MemoryOptions["memory"], tasks: Stream): void {
  const refuse = (key: string, wanted: number, what: string, rows: number): never => {
    throw new ConfigError(
      `method.memory.${key}: expected at most ${rows}, the training rows of ${what}, found ${wanted}`,
      { hint: "keep fewer rows, or use more training rows" },
    );
  };
  if ("totalWithReservoir" in memory) {
    const rows = tasks.reduce((total, { train }) => total + train.length, 0);
    const wanted = memory.totalWithReservoir;
    if (wanted > rows) refuse("totalWithReservoir", wanted, "all tasks", rows);
  }
  for (const { name, labels, train } of tasks) {
    if ("perTask" in memory && memory.perTask > train.length) {
      refuse("perTask", memory.perTask, `task ${name}`, train.length);
    }
    if ("perClass" in memory) {
      const classes = groupBy(train, ({ output }) => (labels ? output : ""));
      const largest = Math.max(...[...classes.values()].map((rows) => rows.length));
      if (memory.perClass > largest)
        refuse("perClass", memory.perClass, `the largest class of ${name}`, largest);
    }
  }
}
