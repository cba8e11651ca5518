/**
 * LFPT5 (Qin & Joty 2021): one prompt Phi answers all tasks and writes rows of them. Before a task, rows of every earlier
 * one are written from that task's token g_i and take part: L = (1 - kappa) (L_task + lambda_lm L_lm) + kappa L_kd with
 * L_task = CE(y | x, Phi) and L_lm = CE(x, y | g, Phi) on new and written rows, L_kd = KL(p_previous || p) on written ones,
 * p_previous the answers under Phi as it was before the task. No task is named when a row is answered.
 */
import { promptsOf } from "../data/collate.js";
import type { EncodedExample } from "../data/encode.js";
import { sample } from "../models/generate.js";
import { EVALUATION } from "../nn/context.js";
import type { Rng } from "../random.js";
import { number, whole } from "../settings.js";
import { cat, stack } from "../tensor/functions.gen.js";
import { inference, noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { softenedDivergence } from "./lwf.js";
import { defineMethod, ownRows, type Share, type Source } from "./method.js";
import { promptPositions } from "./options.js";
import { readRow, type WrittenTask, writeRows, writingOf, writtenTask, type Yield } from "./pseudo-rows.js";
import { embeddingsOf, randomPrompt, trained } from "./soft-prompt.js";

/** The loss of written rows, by which the term of the teacher is told apart as well. */
const WRITTEN = "written";
/** Rows written at a time. */
const BATCH = 32;

const tokenName = (index: number): string => `task.${index + 1}`;

export const lfpt5 = defineMethod({
  name: "lfpt5",
  title: "LFPT5",
  trains: "one soft prompt, and a token per task",
  keeps: "the prompt, tokens and labels of the tasks",
  options: {
    promptLength: promptPositions(300),
    lambdaLm: number({ above: 0 })
      .default(0.25)
      .describe("weight of learning to write the task's rows from its token"),
    kappa: number({ min: 0, max: 1 })
      .default(0.03)
      .describe(
        "weight of KL(previous prompt || prompt) on rows it wrote; the rest of the loss counts 1 - kappa",
      ),
    fraction: number({ min: 0, max: 1 })
      .default(0.02)
      .describe(
        "rows written anew of each earlier task, as a share of its training rows (at least one per class)",
      ),
    topK: whole({ min: 1 }).default(64).describe("likeliest tokens that a written token is drawn from"),
    repetitionPenalty: number({ min: 1 })
      .default(2.5)
      .describe("what scores of tokens that the text being written has already are worsened by; 1: nothing"),
  },
  create({ model, options, tasks }) {
    const { promptLength, lambdaLm, kappa, fraction, topK, repetitionPenalty } = options;
    const width = model.inputEmbedding.dim(1);
    let prompt: Tensor | null = null;
    let previous: Tensor | null = null;
    /** What each task's rows are written from, [1, width]. */
    const tokens: Tensor[] = [];
    const learned: WrittenTask[] = [];
    /** Rows of earlier tasks, made before the task, and of which task they are. */
    let written: { readonly task: number; readonly row: EncodedExample }[] = [];
    let yields: Yield[] = [];
    /** Rows to be written, as made of rows to be answered, and their tasks. */
    const writings = new WeakMap<Source, number>();
    const writing = (row: EncodedExample, task: number): EncodedExample => {
      const made = writingOf(row, model);
      writings.set(made, task);
      return made;
    };

    /** [rows, promptLength + 1, width]: the prompt and the tokens of some tasks. */
    const writingPrefix = (of: readonly number[]): Tensor => {
      const own = stack(of.map((task) => tokens[task]!));
      return cat([prompt!.unsqueeze(0).expand([of.length, promptLength, width]), own], 1);
    };

    const write = (task: number, count: number, rng: Rng): number[][] => {
      const { longest } = learned[task]!;
      const batches = Array.from({ length: Math.ceil(count / BATCH) }, (_, k) =>
        Math.min(BATCH, count - k * BATCH),
      );
      return batches.flatMap((rows, k) =>
        inference(() => {
          const starts = Array.from({ length: rows }, () => ({ source: [model.eosId] }));
          const prefix = writingPrefix(starts.map(() => task));
          return sample(model.startDecoding({ ...promptsOf(starts, model), prefix }), {
            endIds: model.endIds,
            ends: 2,
            maxNewTokens: longest,
            sampling: { temperature: 1, topK, topP: null },
            repetitionPenalty,
            rng: rng.fork(`batch ${k + 1}`),
          });
        }),
      );
    };

    /** Of the labels, then the most frequent tokens of the rows: embeddings of what the first task is about. */
    const firstPrompt = (rows: readonly EncodedExample[]): Tensor => {
      const answers = [...new Map(rows.map(({ target }) => [target.join(), target])).values()];
      const counts = new Map<number, number>();
      for (const { source } of rows) for (const id of source) counts.set(id, (counts.get(id) ?? 0) + 1);
      const frequent = [...counts].sort(([a, x], [b, y]) => y - x || a - b).map(([id]) => id);
      return tidy(() => {
        const labels = answers.slice(0, promptLength).map((ids) => embeddingsOf(model, ids).meanDim(0, true));
        const others = Array.from(
          { length: promptLength - labels.length },
          (_, i) => frequent[i % frequent.length]!,
        );
        return trained(cat([...labels, embeddingsOf(model, others)]));
      });
    };

    return {
      beforeTask({ index, name, rows, rng }) {
        written = [];
        yields = learned.map((task, i) => {
          const made = writeRows(
            task,
            fraction,
            (count, own) => write(i, count, own),
            (ids) => readRow(ids, task, model, model.family),
            rng.fork(`rows of ${task.name}`),
          );
          written.push(...made.rows.map((row) => ({ task: i, row })));
          return made.yield;
        });
        previous?.dispose();
        previous = prompt && tidy(() => prompt!.detach().clone()).keep();
        prompt ??= firstPrompt(rows);
        tokens.push(randomPrompt(model, 1, rng.fork("token")));
        learned.push(writtenTask(name, rows, tasks[index]!.labels !== null));
        return [
          { name: "prompt", tensor: prompt },
          ...tokens.map((token, task) => ({ name: tokenName(task), tensor: token })),
        ];
      },
      plan(task, plan) {
        const own = ownRows(task, plan);
        const rng = plan.rng.fork(WRITTEN);
        const writingsOf = new Map<EncodedExample, EncodedExample>();
        for (const row of task.rows) writingsOf.set(row, writing(row, task.index));
        for (const { task: other, row } of written) writingsOf.set(row, writing(row, other));
        return {
          ...own,
          steps: (function* () {
            let step = 0;
            let epoch: EncodedExample[] = [];
            for (const [{ rows }] of own.steps as Iterable<[Share]>) {
              // Every written row once per epoch, spread over its steps.
              const place = step++ % own.stepsPerEpoch;
              if (place === 0) epoch = rng.fork(`epoch at ${step}`).shuffle(written.map(({ row }) => row));
              const at = (k: number) => Math.floor((k * epoch.length) / own.stepsPerEpoch);
              const replayed = epoch.slice(at(place), at(place + 1));
              yield sharesOf(rows, replayed, (row) => writingsOf.get(row)!);
            }
          })(),
        };
      },
      prefix(rows) {
        if (prompt === null) return null;
        const of = rows.map((row) => writings.get(row));
        return of[0] === undefined ? prompt.unsqueeze(0) : writingPrefix(of as number[]);
      },
      prompt: () => prompt,
      losses({ share, batch, output }) {
        if (share.term !== WRITTEN || kappa === 0) return {};
        const teacher = noGrad(() =>
          tidy(() => model.forward({ ...batch, prefix: previous!.unsqueeze(0) }, EVALUATION).logits),
        );
        return { distillation: softenedDivergence(teacher, output.logits, 1).mul(kappa) };
      },
      measures() {
        if (yields.length === 0) return {};
        const total = (of: keyof Yield) => yields.reduce((sum, each) => sum + each[of], 0);
        return { rowsWritten: total("written"), rowsUsable: total("usable"), rowsReplayed: total("taken") };
      },
      afterTask: () => null,
      state: () => ({
        tensors: {
          prompt: prompt!,
          ...Object.fromEntries(tokens.map((token, task) => [tokenName(task), token])),
        },
        rows: { tasks: learned },
      }),
      saves: { adapter: null, weights: null, state: true },
      restore(finished) {
        tidy(() => {
          const { tensors, rows } = finished.at(-1)!.state();
          prompt = trained(tensors.prompt!);
          learned.push(...(rows.tasks as WrittenTask[]));
          for (const task of learned.keys()) tokens.push(trained(tensors[tokenName(task)]!));
        });
      },
      deltas: null,
      penaltyRecord: { kind: "written rows", lambdaLm, kappa, fraction },
      dispose() {
        for (const each of [prompt, previous, ...tokens]) each?.dispose();
      },
    };

    function sharesOf(
      rows: readonly EncodedExample[],
      replayed: readonly EncodedExample[],
      written: (row: EncodedExample) => EncodedExample,
    ): Share[] {
      const all = [...rows, ...replayed];
      const weight = replayed.length > 0 ? 1 - kappa : 1;
      const shares: Share[] = [
        { rows, weight: (weight * rows.length) / all.length, term: null },
        { rows: all.map(written), weight: weight * lambdaLm, term: "writing" },
      ];
      if (replayed.length > 0) {
        shares.push({ rows: replayed, weight: (weight * replayed.length) / all.length, term: WRITTEN });
      }
      return shares;
    }
  },
});
