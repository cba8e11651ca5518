/**
 * LwF (Li & Hoiem 2017), text to text: the model before the task answers the new task's inputs as well, and the answers
 * of the trained model are held to its. L = CE + lambda_o * mean over label tokens of KL(softmax(z_old / tau) ||
 * softmax(z / tau)), both teacher-forced on the gold answer; from the second task on. The teacher has no dropout.
 */
import type { Batch } from "../models/language-model.js";
import { at, flag, number, perTask } from "../settings.js";
import type { Tensor } from "../tensor/tensor.js";
import { BACKBONE, type FrozenModel, openBackbone } from "./backbone.js";
import { defineMethod } from "./method.js";
import { withBackbone } from "./options.js";
import { sequentialMethod } from "./sequential.js";

/** Mean over the rows of KL(softmax(teacher / tau) || softmax(student / tau)), in float32; logits [rows, vocabulary]. */
export function softenedDivergence(teacher: Tensor, student: Tensor, tau: number): Tensor {
  const logOf = (logits: Tensor): Tensor =>
    logits
      .toDtype("float32")
      .mul(1 / tau)
      .logSoftmax(-1);
  const target = logOf(teacher).detach();
  return target
    .exp()
    .mul(target.sub(logOf(student)))
    .sumDim([-1])
    .mean();
}

export const lwf = defineMethod({
  name: "lwf",
  title: "LwF",
  trains: BACKBONE,
  keeps: "the model, the teacher of the next task",
  options: {
    ...withBackbone,
    tau: number({ above: 0 }).default(2).describe("temperature of teacher and student"),
    lambdaO: perTask("number", { min: 0 })
      .default(1)
      .describe("weight of KL(teacher || student) at the label tokens; one number or one per task"),
    scaleByTau2: flag().default(false).describe("multiply the term by tau^2"),
  },
  create(setup) {
    const { backbone: kind, sparsity, tau, lambdaO, scaleByTau2 } = setup.options;
    const backbone = openBackbone(setup, kind, sparsity);
    let teacher: FrozenModel | null = null;
    let weight = 0;
    const teach = (): void => {
      teacher?.dispose();
      teacher = backbone.freeze();
    };
    const distillation = (batch: Batch, logits: Tensor): Tensor =>
      softenedDivergence(teacher!.logits(batch), logits, tau).mul(weight * (scaleByTau2 ? tau ** 2 : 1));
    return sequentialMethod(backbone, {
      penaltyRecord: { kind: "distillation", tau, lambdaO, scaleByTau2 },
      beforeTask({ index }) {
        weight = at(lambdaO, index);
      },
      losses: ({ batch, output }) =>
        teacher === null || weight === 0 ? {} : { distillation: distillation(batch, output.logits) },
      afterTask: teach,
      restore: teach,
      dispose: () => teacher?.dispose(),
    });
  },
});
