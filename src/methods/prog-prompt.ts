/**
 * ProgPrompt (Razdaibiedina et al. 2023): every task learns a prompt of its own, which stands before the frozen prompts of
 * all earlier tasks: [P_t; P_(t-1); ...; P_1; E(x)]. A task is answered with the prompts that stood there when it was
 * learned, so nothing is forgotten and its name is needed. A task that was not learned yet is answered without a prompt.
 */
import { cat } from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineMethod } from "./method.js";
import { promptPositions } from "./options.js";
import { randomPrompt } from "./soft-prompt.js";

const nameOf = (index: number): string => `prompt.${index + 1}`;

export const progPrompt = defineMethod({
  name: "prog-prompt",
  title: "ProgPrompt",
  trains: "a new soft prompt per task",
  keeps: "all prompts",
  needsTaskIdentity: true,
  options: { promptLength: promptPositions(10) },
  create({ model, options: { promptLength } }) {
    /** Of the tasks so far; of these the first `shown` are in use. */
    const prompts: Tensor[] = [];
    let shown = 0;
    const prompt = (): Tensor | null => (shown === 0 ? null : cat(prompts.slice(0, shown).reverse()));
    return {
      beforeTask({ index, rng }) {
        const prompt = randomPrompt(model, promptLength, rng);
        prompts.push(prompt);
        shown = prompts.length;
        return [{ name: nameOf(index), tensor: prompt }];
      },
      prefix: () => tidy(() => prompt()?.unsqueeze(0) ?? null),
      prompt,
      afterTask() {
        prompts.at(-1)!.requiresGrad = false;
        return null;
      },
      activate({ index }) {
        shown = index < prompts.length ? index + 1 : 0;
      },
      state: () => ({
        tensors: Object.fromEntries(prompts.map((prompt, index) => [nameOf(index), prompt])),
        rows: {},
      }),
      saves: { adapter: null, weights: null, state: true },
      restore(finished) {
        tidy(() => {
          const { tensors } = finished.at(-1)!.state();
          for (const { index } of finished) prompts.push(tensors[nameOf(index)]!.clone().keep());
        });
      },
      deltas: null,
      penaltyRecord: { kind: "none" },
      dispose() {
        for (const prompt of prompts) prompt.dispose();
      },
    };
  },
});
