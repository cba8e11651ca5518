/** Trained embeddings before the tokens of a row (Lester et al. 2021): what L2P, LFPT5 and ProgPrompt train of a frozen model. */
import type { LanguageModel } from "../models/language-model.js";
import type { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { embedding } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

type Vocabulary = Pick<LanguageModel, "inputEmbedding" | "vocabularySize">;

/** A tensor to be trained, in memory of its own; owned by the caller. */
export function trained(start: Tensor): Tensor {
  const made = inference(() => start.detach().toDtype("float32").clone()).keep();
  made.requiresGrad = true;
  return made;
}

/** The embeddings of some tokens, [ids, width] in float32; belongs to the open scope. */
export const embeddingsOf = ({ inputEmbedding }: Vocabulary, ids: readonly number[]): Tensor =>
  inference(() => {
    const index = tensor(ids, [ids.length], "int64", inputEmbedding.device);
    return embedding(inputEmbedding, index).toDtype("float32");
  });

const randomTokens = ({ vocabularySize }: Vocabulary, count: number, rng: Rng): number[] =>
  Array.from({ length: count }, () => rng.integer(vocabularySize));

/** A prompt that starts as the embeddings of random tokens, [count, width]; owned by the caller. */
export const randomPrompt = (model: Vocabulary, count: number, rng: Rng): Tensor =>
  tidy(() => trained(embeddingsOf(model, randomTokens(model, count, rng))));
