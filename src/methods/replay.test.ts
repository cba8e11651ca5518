import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { learn, runTiny, tinyMethod, tinyModel, tinyTask } from "../../test/support/tiny.js";
import { taskContext } from "../learn/learn.js";
import { Rng } from "../random.js";
import { ownRows, type TaskState } from "./method.js";
import type { MemoryOptions } from "./replay-memory.js";
import { ReplayMemory, type StoredRow } from "./replay-memory.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 24, 5));

it("is SeqFT bit for bit without a memory or without a share of it, and with an adapter SeqLoRA", () => {
  const plain = runTiny({ name: "seq-ft" }, tasks).learned;
  expect(runTiny({ name: "replay", memory: { fraction: 0 } }, tasks).learned).toBe(plain);
  expect(runTiny({ name: "replay", rho: 0 }, tasks).learned).toBe(plain);
  expect(runTiny({ name: "replay" }, tasks).learned).not.toBe(plain);
  const lora = { name: "replay", backbone: "lora", memory: { perTask: 0 } } as const;
  expect(runTiny(lora, tasks).learned).toBe(runTiny({ name: "seq-lora" }, tasks).learned);
});

describe("the batches", () => {
  const plans = (values: object) => {
    const model = tinyModel();
    const method = tinyMethod(model, { name: "replay", memory: { perTask: 6 }, ...values }, {}, [], tasks);
    const plan = { batchSize: 8, epochs: 2, rng: new Rng(7) };
    const context = (index: number) => taskContext(tasks[index]!, index, new Rng(1));
    const first = [...method.plan(context(0), plan).steps];
    learn(model, method, tasks.slice(0, 1));
    const second = method.plan(context(1), plan);
    const steps = [...second.steps];
    const state = method.state();
    method.dispose();
    model.dispose();
    return {
      first,
      steps,
      stepsPerEpoch: second.stepsPerEpoch,
      own: [...ownRows(context(1), plan).steps],
      state,
    };
  };

  it("keep all their new rows and add replayed ones with the weight rho", () => {
    const { first, steps, own } = plans({});
    expect(first.every((shares) => shares.length === 1 && shares[0]!.weight === 1)).toBe(true);
    expect(steps.map(([fresh]) => fresh!.rows)).toEqual(own.map(([share]) => share!.rows));
    for (const [fresh, replayed] of steps) {
      expect([fresh!.weight, replayed!.weight]).toEqual([0.75, 0.25]);
      // 8 new rows and 3 replayed ones: about a quarter of the batch
      expect(replayed!.rows).toHaveLength(3);
      expect(replayed!.rows.every((row) => tasks[0]!.train.includes(row))).toBe(true);
    }
  });

  it("are followed by a batch of replayed rows after every k", () => {
    const { steps, stepsPerEpoch, own } = plans({ schedule: "everyK", k: 2 });
    expect(stepsPerEpoch).toBe(4);
    const isReplayed = steps.map(([share]) => tasks[0]!.train.includes(share!.rows[0]!));
    expect(isReplayed).toEqual([false, false, true, false, false, false, true, false]);
    expect(steps.filter((_, i) => !isReplayed[i])).toEqual(own);
  });

  it("record the loss of replayed rows beside the task's, weighted", () => {
    const { steps } = runTiny({ name: "replay" }, tasks);
    expect(steps.map(({ penalties }) => "replay" in penalties)).toEqual([
      ...[false, false, false],
      ...[true, true, true, true, true, true],
    ]);
  });
});

describe("the memory", () => {
  const row = (task: string, label: string, id: number): StoredRow => ({
    task,
    label,
    input: `${id}`,
    output: label,
    example: { source: [id], target: [1], sourceLength: 1, targetLength: 1 },
  });
  /** One task: rows of a few classes of any sizes. */
  const someRows = fc
    .array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 })
    .map((sizes) =>
      sizes.flatMap((size, label) =>
        Array.from({ length: size }, (_, i) => row("t", `${label}`, 100 * label + i)),
      ),
    );
  const countsOf = (rows: readonly StoredRow[]) => {
    const counts = new Map<string, number>();
    for (const { label } of rows) counts.set(label, (counts.get(label) ?? 0) + 1);
    return counts;
  };
  const kept = (options: MemoryOptions["memory"], rows: readonly StoredRow[], seed: number) => {
    const memory = new ReplayMemory(options);
    memory.add(rows, new Rng(seed));
    expect(new Set(memory.rows).size).toBe(memory.rows.length);
    expect(memory.rows.every((each) => rows.includes(each))).toBe(true);
    return memory.rows;
  };
  /** No class has two rows more than another that has some left. */
  const expectBalanced = (rows: readonly StoredRow[], all: readonly StoredRow[]) => {
    const [have, available] = [countsOf(rows), countsOf(all)];
    const largest = Math.max(0, ...have.values());
    for (const [label, size] of available) {
      expect(have.get(label) ?? 0).toBeGreaterThanOrEqual(Math.min(size, largest - 1));
    }
  };

  it("has as many rows as asked for and as many of every class as of any other", () => {
    fc.assert(
      fc.property(someRows, fc.integer({ min: 0, max: 60 }), fc.nat(), (rows, perTask, seed) => {
        const memory = kept({ perTask }, rows, seed);
        expect(memory).toHaveLength(Math.min(perTask, rows.length));
        expectBalanced(memory, rows);
      }),
    );
    fc.assert(
      fc.property(someRows, fc.integer({ min: 1, max: 50 }), fc.nat(), (rows, perClass, seed) => {
        const counts = countsOf(kept({ perClass }, rows, seed));
        for (const [label, size] of countsOf(rows)) expect(counts.get(label)).toBe(Math.min(size, perClass));
      }),
    );
    fc.assert(
      fc.property(
        someRows,
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        fc.nat(),
        (rows, fraction, seed) => {
          const memory = kept({ fraction }, rows, seed);
          const classes = countsOf(rows).size;
          expect(memory).toHaveLength(Math.max(classes, Math.round(fraction * rows.length)));
          expect(countsOf(memory).size).toBe(classes);
          expectBalanced(memory, rows);
        },
      ),
    );
  });

  it("never outgrows its reservoir, whatever the number of tasks, and keeps the classes even", () => {
    fc.assert(
      fc.property(fc.integer({ min: 12, max: 40 }), fc.nat(), (capacity, seed) => {
        const memory = new ReplayMemory({ totalWithReservoir: capacity });
        const rng = new Rng(seed);
        for (const task of ["a", "b", "c"]) {
          const sizes = { x: 200, y: 50 };
          const rows = Object.entries(sizes).flatMap(([label, size]) =>
            Array.from({ length: size }, (_, i) => row(task, label, i)),
          );
          memory.add(rows, rng.fork(task));
          expect(memory.rows.length).toBe(capacity);
          expect(new Set(memory.rows).size).toBe(capacity);
        }
        const counts = ["a", "b", "c"].flatMap((task) =>
          ["x", "y"].map(
            (label) => memory.rows.filter((each) => each.task === task && each.label === label).length,
          ),
        );
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
      }),
      { numRuns: 30 },
    );
  });

  it("keeps any row of a class with the same chance", () => {
    const rows = Array.from({ length: 40 }, (_, i) => row("t", "x", i));
    const hits = rows.map(() => 0);
    for (let seed = 0; seed < 400; seed++) {
      const memory = new ReplayMemory({ totalWithReservoir: 10 });
      memory.add(rows, new Rng(seed));
      for (const each of memory.rows) hits[rows.indexOf(each)]!++;
    }
    // Binomial(400, 1/4): 100 on average, 8.7 the deviation
    expect(Math.min(...hits)).toBeGreaterThan(60);
    expect(Math.max(...hits)).toBeLessThan(140);
  });

  it("draws no row twice while there are enough", () => {
    const memory = new ReplayMemory({ perTask: 5 });
    memory.add(
      Array.from({ length: 9 }, (_, i) => row("t", "x", i)),
      new Rng(1),
    );
    expect(new Set(memory.draw(5, new Rng(2))).size).toBe(5);
    expect(memory.draw(12, new Rng(2))).toHaveLength(12);
  });

  it("holds training rows alone, as text, and goes on after a restart", () => {
    const states = (values: object): TaskState => {
      const model = tinyModel();
      const method = tinyMethod(model, { name: "replay", ...values }, {}, [], tasks);
      learn(model, method, tasks);
      const state = method.state();
      method.dispose();
      model.dispose();
      return state;
    };
    const { memory, classes } = states({ memory: { totalWithReservoir: 10 } }).rows as unknown as {
      memory: StoredRow[];
      classes: object[];
    };
    expect(memory).toHaveLength(10);
    expect(classes.length).toBeGreaterThan(1);
    for (const { task, input, example } of memory) {
      const own = tasks.find(({ name }) => name === task)!;
      expect(own.train).toContain(example);
      expect(own.test).not.toContain(example);
      expect(input).toBe(example.source.join(" "));
    }
    const finished: Parameters<typeof runTiny>[2] & { finished: [] } = { finished: [] };
    const values = { name: "replay", memory: { totalWithReservoir: 10 } } as const;
    const whole = runTiny(values, tasks, finished);
    const restarted = runTiny(values, tasks, { finished: finished.finished.slice(0, 2), first: 2 });
    expect(restarted.print).toBe(whole.print);
  });

  it("larger than the data is refused before anything is trained", () => {
    const model = tinyModel();
    const open = (memory: object) => () => tinyMethod(model, { name: "replay", memory }, {}, [], tasks);
    expect(open({ perTask: 25 })).toThrow(
      "method.memory.perTask: expected at most 24, the training rows of task alpha, found 25",
    );
    expect(open({ totalWithReservoir: 73 })).toThrow(
      /expected at most 72, the training rows of all tasks, found 73/,
    );
    expect(open({ perClass: 25 })).toThrow(
      /expected at most \d+, the training rows of the largest class of alpha/,
    );
    expect(open({ perTask: 24 })).not.toThrow();
    model.dispose();
  });
});
