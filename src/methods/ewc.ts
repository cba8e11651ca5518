/**
 * EWC (Kirkpatrick et al. 2017): weights that mattered for earlier tasks are held where they were.
 * L = L_task + (lambda / 2) sum_p F_p (theta_p - theta*_p)^2, F the diagonal Fisher information at theta*, the weights
 * after an earlier task. F of every task has mean 1 over what is trained, so that lambda means the same everywhere.
 */
import type { Parameter } from "../nn/optim.js";
import { at, choice, number, perTask } from "../settings.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { BACKBONE, openBackbone } from "./backbone.js";
import { fisherInformation, fisherOptions } from "./fisher.js";
import { defineMethod } from "./method.js";
import { withBackbone } from "./options.js";
import { sequentialMethod } from "./sequential.js";

const options = {
  lambda: perTask("number", { min: 0 })
    .default(10)
    .describe("weight of (1/2) sum F (theta - theta*)^2, F of mean one; one number or one per task"),
  ...fisherOptions,
  mode: choice(["online", "separate"])
    .default("online")
    .describe("one accumulated Fisher around the last weights, or one of each task around its own"),
  gamma: number({ min: 0, max: 1 }).default(1).describe("mode online: F <- gamma F + F_t"),
};

/** Where the weights are held, and how strongly: one tensor per parameter each. */
interface Anchor {
  readonly fisher: readonly Tensor[];
  readonly weights: readonly Tensor[];
}

const copied = (parameters: readonly Parameter[]): Tensor[] =>
  parameters.map(({ tensor }) => noGrad(() => tensor.clone()).keep());

function disposeAnchor({ fisher, weights }: Anchor): void {
  for (const tensor of [...fisher, ...weights]) tensor.dispose();
}

/** (strength / 2) sum F (theta - theta*)^2; its gradient strength F (theta - theta*) is added to the parameters'. */
export function quadraticPenalty(
  parameters: readonly Parameter[],
  anchors: readonly Anchor[],
  strength: number,
): Tensor {
  return noGrad(() =>
    tidy(() =>
      anchors
        .flatMap(({ fisher, weights }) =>
          parameters.map(({ tensor: weight }, index) =>
            tidy(() => {
              const distance = weight.sub(weights[index]!);
              const pull = distance.mul(fisher[index]!).mul_(strength);
              const gradient = weight.grad;
              weight.grad = gradient ? gradient.add_(pull) : pull.clone();
              return pull.mul_(distance).sum().mul_(0.5);
            }),
          ),
        )
        .reduce((sum, term) => sum.add(term)),
    ),
  );
}

export const ewc = defineMethod({
  name: "ewc",
  title: "EWC",
  trains: BACKBONE,
  keeps: "the model, and the Fisher information of its weights",
  options: { ...withBackbone, ...options },
  create(setup) {
    const { model, options } = setup;
    const { backbone: kind, sparsity, lambda, mode, gamma, fisher, rows } = options;
    const backbone = openBackbone(setup, kind, sparsity);
    const anchors: Anchor[] = [];
    let strength = 0;

    const addAnchor = (added: Anchor): void => {
      const before = mode === "online" ? anchors.pop() : undefined;
      if (before) {
        for (const [index, tensor] of added.fisher.entries()) {
          tidy(() => tensor.add_(before.fisher[index]!.mul(gamma)));
        }
        disposeAnchor(before);
      }
      anchors.push(added);
    };

    return sequentialMethod(backbone, {
      penaltyRecord: { kind: "ewc", lambda, fisher, rows, mode, ...(mode === "online" && { gamma }) },
      beforeTask(task) {
        strength = at(lambda, task.index);
      },
      penalties: () =>
        anchors.length === 0 || strength === 0
          ? {}
          : { ewc: quadraticPenalty(backbone.parameters(), anchors, strength) },
      afterTask({ rows, rng }) {
        const parameters = backbone.parameters();
        addAnchor({
          fisher: fisherInformation(model, parameters, rows, options, rng.fork("fisher")),
          weights: copied(parameters),
        });
      },
      // In mode online the weights are those of the saved model or adapter.
      state: () => ({
        tensors: Object.fromEntries(
          anchors.flatMap(({ fisher, weights }, task) =>
            backbone
              .parameters()
              .flatMap(({ name }, index): [string, Tensor][] => [
                [`${task}.fisher.${name}`, fisher[index]!],
                ...(mode === "separate"
                  ? [[`${task}.weight.${name}`, weights[index]!] as [string, Tensor]]
                  : []),
              ]),
          ),
        ),
        rows: {},
      }),
      restore(finished) {
        tidy(() => {
          const { tensors } = finished.at(-1)!.state();
          const parameters = backbone.parameters();
          const saved = (task: number, kind: string) =>
            parameters.map(({ name }) => tensors[`${task}.${kind}.${name}`]!.clone().keep());
          for (let task = 0; task < (mode === "online" ? 1 : finished.length); task++) {
            anchors.push({
              fisher: saved(task, "fisher"),
              weights: mode === "online" ? copied(parameters) : saved(task, "weight"),
            });
          }
        });
      },
      dispose() {
        for (const anchor of anchors) disposeAnchor(anchor);
      },
    });
  },
});
