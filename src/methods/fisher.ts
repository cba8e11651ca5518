/**
 * The diagonal Fisher information of a model's likelihood, F_p = (1/n) sum over rows of (d log p(y|x) / d theta_p)^2, log p
 * summed over the label tokens. Row by row, without dropout, in float32. The variants differ materially (van de Ven 2025).
 */
import { batchOf, promptsOf } from "../data/collate.js";
import type { EncodedExample } from "../data/encode.js";
import { sample } from "../models/generate.js";
import type { LanguageModel } from "../models/language-model.js";
import { EVALUATION } from "../nn/context.js";
import type { Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import { choice, whole } from "../settings.js";
import { inference, noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Settings } from "./options.js";

export const fisherOptions = {
  fisher: choice(["empirical", "sampled", "batched"])
    .default("empirical")
    .describe(
      "squared gradients per row of its gold answer or of one drawn from the model, or of batch means",
    ),
  rows: whole({ min: 1 }).default(512).describe("training rows that the Fisher information is measured on"),
  fisherBatch: whole({ min: 1 }).default(32).describe("fisher batched: rows per mean"),
};

export type FisherOptions = Settings<typeof fisherOptions>;

/** Rows whose answers are drawn at a time. */
const DRAWN_TOGETHER = 64;
const UNFILTERED = { temperature: 1, topK: null, topP: null };

/**
 * One tensor per parameter, owned by the caller, of mean 1 over all parameters together (all zero if no row has a
 * gradient). Leaves the parameters without gradients.
 */
export function fisherInformation(
  model: LanguageModel,
  parameters: readonly Parameter[],
  rows: readonly EncodedExample[],
  { fisher: variant, rows: count, fisherBatch }: FisherOptions,
  rng: Rng,
): Tensor[] {
  const chosen = rng.fork("rows").shuffle(rows).slice(0, count);
  const answered = variant === "sampled" ? withDrawnAnswers(model, chosen, rng.fork("answers")) : chosen;
  const size = variant === "batched" ? fisherBatch : 1;
  const information = parameters.map(({ tensor }) => noGrad(() => tensor.zerosLike()).keep());
  for (let start = 0; start < answered.length; start += size) {
    const part = answered.slice(start, start + size);
    tidy(() => {
      const output = model.forward(batchOf(part, model), EVALUATION);
      output.backward(output.loss.mul(output.labelTokens / part.length));
      noGrad(() => {
        for (const [index, { tensor }] of parameters.entries()) {
          const gradient = tensor.grad;
          if (gradient) information[index]!.add_(gradient.square());
          tensor.grad = null;
        }
      });
    });
  }
  rescale(information);
  return information;
}

/** Divides by the mean over all elements. */
function rescale(information: readonly Tensor[]): void {
  tidy(() => {
    const total = information.reduce((sum, each) => sum + each.sum().item(), 0);
    const elements = information.reduce((sum, each) => sum + each.size, 0);
    if (total > 0) for (const each of information) each.mul_(elements / total);
  });
}

/** The rows with answers drawn from the model, at most as long as the longest right one. */
function withDrawnAnswers(model: LanguageModel, rows: readonly EncodedExample[], rng: Rng): EncodedExample[] {
  const maxNewTokens = Math.max(...rows.map(({ target }) => target.length));
  const drawn: EncodedExample[] = [];
  for (let start = 0; start < rows.length; start += DRAWN_TOGETHER) {
    const part = rows.slice(start, start + DRAWN_TOGETHER);
    const options = { endIds: model.endIds, maxNewTokens, sampling: UNFILTERED, rng: rng.fork(`${start}`) };
    const answers = inference(() => sample(model.startDecoding(promptsOf(part, model)), options));
    for (const [index, target] of answers.entries()) {
      drawn.push({ ...part[index]!, target, targetLength: target.length });
    }
  }
  return drawn;
}
