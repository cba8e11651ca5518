/**
 * `npm run bench -- --part methods`: what a step of each LoRA method costs over one of IncLoRA, how O-LoRA's cost grows with the
 * tasks, and the memory of streams whose adapters are merged; T5 of t5-small's size in bfloat16, batch 8, source 128, target 8.
 */
import { measureApart, median } from "./apart.js";
import type { MethodCase, StepAnswer, StreamAnswer } from "./methods-cases.js";

type Kind = "stacked" | "merged";

function measure<Answer>(
  what: string,
  threads: number,
  rounds: number,
  cases: readonly MethodCase[],
): Answer {
  return measureApart("methods-subject.js", threads, [
    what,
    String(threads),
    String(rounds),
    JSON.stringify(cases),
  ]);
}

/** The second task of a stream, so that there is something to remember. */
const second = (options: object): MethodCase => ({
  options,
  previousAdapters: "stacked",
  earlier: 0,
  tasks: 4,
  task: 1,
});

const METHODS: Readonly<Record<string, MethodCase>> = {
  "inc-lora": second({ name: "inc-lora" }),
  "seq-lora": second({ name: "seq-lora" }),
  "n-lora": second({ name: "n-lora" }),
  "n-lora, gamma 1": second({ name: "n-lora", penalty: { gamma: 1 } }),
  "n-lora, released code": second({ name: "n-lora", penalty: { kind: "released-code" } }),
  "o-lora": second({ name: "o-lora" }),
  "o-lora, whole updates": second({ name: "o-lora", orth: "updates" }),
  "o-lora-n-lora": second({ name: "o-lora-n-lora" }),
  "prox-lora": second({ name: "prox-lora", warmup: 0 }),
  "mask-lora": second({ name: "mask-lora" }),
  "null-space-lora": second({ name: "null-space-lora" }),
  "replay, one adapter": second({ name: "replay", backbone: "lora" }),
  "ewc, one adapter": second({ name: "ewc", backbone: "lora" }),
  "lwf, one adapter": second({ name: "lwf", backbone: "lora" }),
};

/** Median over rounds of the ratio within a round, by the clock and by the threads' time. */
const ratios = (answer: StepAnswer, base: StepAnswer): [number, number] =>
  [0, 1].map((clock) =>
    median(answer.steps.map((step, round) => step[clock]! / base.steps[round]![clock]!)),
  ) as [number, number];

const ms = (answer: StepAnswer, clock: 0 | 1): string =>
  (1000 * median(answer.steps.map((step) => step[clock]!))).toFixed(0).padStart(7);

function methods(threads: number, rounds: number): void {
  const names = Object.keys(METHODS);
  const answers = measure<StepAnswer[]>("steps", threads, rounds, Object.values(METHODS));
  console.log(
    "  second task               step ms  processor ms  ratio  of processor time  peak MiB  over inc-lora",
  );
  let base: number | undefined;
  for (const [k, name] of names.entries()) {
    const [clock, processor] = ratios(answers[k]!, answers[0]!);
    const { peakBytes } = measure<StreamAnswer>("stream", threads, 2, [METHODS[name]!]);
    base ??= peakBytes;
    console.log(
      `  ${name.padEnd(25)} ${ms(answers[k]!, 0)}  ${ms(answers[k]!, 1).padStart(12)}  ${clock.toFixed(2).padStart(5)}  ` +
        `${processor.toFixed(3).padStart(17)}  ${(peakBytes / 2 ** 20).toFixed(0).padStart(8)}  ` +
        `${((peakBytes - base) / 2 ** 20).toFixed(0).padStart(13)}`,
    );
  }
}

/** Against IncLoRA at the same task: what the earlier adapters cost by themselves is in both. */
function tasks(threads: number, rounds: number, previousAdapters: Kind): void {
  const numbers = [1, 5, 10, 15];
  const names = ["inc-lora", "o-lora", "n-lora"];
  const cases = numbers.flatMap((number) =>
    names.map((name) => ({ options: { name }, previousAdapters, earlier: number - 1, tasks: 1, task: 0 })),
  );
  const answers = measure<StepAnswer[]>("steps", threads, rounds, cases);
  console.log(`\n  earlier adapters ${previousAdapters}; processor time of a step`);
  console.log("  task  inc-lora ms  against task 1  o-lora / inc-lora  n-lora / inc-lora");
  for (const [k, number] of numbers.entries()) {
    const [inc, o, n] = answers.slice(3 * k, 3 * k + 3) as [StepAnswer, StepAnswer, StepAnswer];
    const [grown, orthogonal, sparse] = [ratios(inc, answers[0]!), ratios(o, inc), ratios(n, inc)];
    console.log(
      `  ${String(number).padStart(4)}  ${ms(inc, 1).padStart(11)}  ${grown[1].toFixed(3).padStart(14)}  ` +
        `${orthogonal[1].toFixed(3).padStart(17)}  ${sparse[1].toFixed(3).padStart(17)}`,
    );
  }
}

function streams(threads: number): void {
  console.log("\n  resident MiB after each of 15 tasks, earlier adapters merged (2 steps a task)");
  for (const name of ["inc-lora", "n-lora", "o-lora", "prox-lora", "seq-lora"]) {
    const each: MethodCase = {
      options: { name },
      previousAdapters: "merged",
      earlier: 0,
      tasks: 15,
      task: 14,
    };
    const { residentBytes, peakBytes } = measure<StreamAnswer>("stream", threads, 2, [each]);
    const list = residentBytes.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(" ");
    console.log(`  ${name.padEnd(10)} ${list}  (peak of all pages ${(peakBytes / 2 ** 20).toFixed(0)})`);
  }
}

export function measureMethods(threads: number, rounds: number): void {
  console.log(
    `T5 of t5-small's size, bfloat16, batch 8, source 128, target 8, LoRA r = 8 on q and v; ${threads} threads, steps of all ` +
      `methods in turn, medians of ${rounds} rounds\n`,
  );
  methods(threads, rounds);
  tasks(threads, rounds, "stacked");
  tasks(threads, rounds, "merged");
  streams(threads);
}
