/**
 * L2P (Wang et al. 2022): a pool of prompts with a key each. A row is asked with the prompts whose keys are nearest to what
 * the frozen model makes of it: q(x) its features, J the N largest cosines, input [P_J1; ...; P_JN; E(x)], and
 * L = CE - beta * mean over rows of sum_(j in J) cos(q, k_j). Training and answering choose alike; no task is named.
 */
import { promptsOf } from "../data/collate.js";
import type { Rng } from "../random.js";
import { number, whole } from "../settings.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineMethod, type Source } from "./method.js";
import { promptPositions } from "./options.js";
import { randomPrompt, trained } from "./soft-prompt.js";

interface Pool {
  /** [size * promptLength, width], prompt after prompt */
  readonly prompts: Tensor;
  /** [size, width] */
  readonly keys: Tensor;
}

/** Which prompts stand before some rows. */
interface Choice {
  /** The cosines of the chosen prompts, [rows, selected], with the history of the keys. */
  readonly cosines: Tensor;
  /** Numbers of the prompts row by row, nearest first. */
  readonly indices: readonly number[];
}

const unit = (x: Tensor): Tensor => x.div(x.square().sumDim([-1], true).sqrt().clampMin(1e-12));

export const l2p = defineMethod({
  name: "l2p",
  title: "L2P",
  trains: "a pool of soft prompts and their keys",
  keeps: "the pool",
  options: {
    poolSize: whole({ min: 1 }).default(10).describe("prompts in the pool that all tasks share"),
    promptLength: promptPositions(5),
    selected: whole({ min: 1 })
      .default(3)
      .describe("prompts in front of a row: those whose keys are nearest to it"),
    beta: number({ min: 0 })
      .default(0.5)
      .describe("weight of the cosine that pulls the keys chosen for a row towards it"),
  },
  create({ model, options: { poolSize, promptLength, selected, beta } }) {
    const width = model.inputEmbedding.dim(1);
    let pool: Pool | null = null;
    /** Features of the rows of a task, which are read once per epoch. */
    let features = new WeakMap<Source, Float32Array>();
    let last: Choice | null = null;
    /** How often each prompt was chosen since the task began. */
    let uses = new Array<number>(poolSize).fill(0);
    let isTraining = false;

    const open = (rng: Rng): Pool => ({
      prompts: randomPrompt(model, poolSize * promptLength, rng),
      keys: inference(() => {
        const values = Array.from({ length: poolSize * width }, () => 2 * rng.uniform() - 1);
        return trained(tensor(values, [poolSize, width], "float32", model.device));
      }),
    });

    /** [rows, width] */
    const queries = (rows: readonly Source[]): Tensor => {
      const missing = rows.filter((row) => !features.has(row));
      if (missing.length > 0) {
        const made = tidy(() => model.features(promptsOf(missing, model)).toTypedArray()) as Float32Array;
        for (const [i, row] of missing.entries()) {
          features.set(row, made.slice(i * width, (i + 1) * width));
        }
      }
      const values = new Float32Array(rows.length * width);
      for (const [i, row] of rows.entries()) values.set(features.get(row)!, i * width);
      return tensor(values, [rows.length, width], "float32", model.device);
    };

    const choose = ({ keys }: Pool, rows: readonly Source[]): Choice =>
      tidy(() => {
        const cosines = unit(queries(rows)).matmul(unit(keys).t());
        const [, nearest] = cosines.detach().topk(selected, 1);
        return { cosines: cosines.gather(1, nearest), indices: nearest.toArray() };
      });

    return {
      beforeTask({ rng }) {
        pool ??= open(rng);
        features = new WeakMap();
        uses = new Array<number>(poolSize).fill(0);
        isTraining = true;
        return [
          { name: "prompts", tensor: pool.prompts },
          { name: "keys", tensor: pool.keys },
        ];
      },
      prefix(rows) {
        if (pool === null) return null;
        last = choose(pool, rows);
        if (isTraining) for (const prompt of last.indices) uses[prompt]!++;
        const positions = last.indices.flatMap((prompt) =>
          Array.from({ length: promptLength }, (_, i) => prompt * promptLength + i),
        );
        const index = tensor(positions, [positions.length], "int64", model.device);
        return pool.prompts.indexSelect(0, index).view([rows.length, selected * promptLength, width]);
      },
      losses({ share, output }) {
        if (beta === 0) return {};
        // Terms count by label tokens; this one is a mean over the rows of the share, however they are split.
        const labelTokens = share.rows.reduce((sum, row) => sum + row.target.length, 0);
        const factor = (-beta * labelTokens) / (output.labelTokens * share.rows.length);
        return { keys: last!.cosines.sum().mul(factor) };
      },
      measures() {
        const total = uses.reduce((sum, count) => sum + count, 0);
        if (total === 0) return {};
        return Object.fromEntries(uses.map((count, prompt) => [`prompt${prompt + 1}`, count / total]));
      },
      afterTask() {
        isTraining = false;
        return null;
      },
      state: () => ({ tensors: { ...pool! }, rows: {} }),
      saves: { adapter: null, weights: null, state: true },
      restore(finished) {
        tidy(() => {
          const { prompts, keys } = finished.at(-1)!.state().tensors;
          pool = { prompts: trained(prompts!), keys: trained(keys!) };
        });
      },
      deltas: null,
      penaltyRecord: { kind: "keys", beta, poolSize, selected },
      dispose() {
        pool?.prompts.dispose();
        pool?.keys.dispose();
      },
    };
  },
});
