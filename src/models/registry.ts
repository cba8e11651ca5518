/** model_type of a checkpoint's config.json -> the class that computes it. */
import { CheckpointError } from "../errors.js";
import { Checkpoint } from "../io/checkpoint.js";
import type { DType } from "../tensor/dtype.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { LanguageModel } from "./language-model.js";
import { readT5Config, T5 } from "./t5.js";

const FAMILIES: Readonly<Record<string, (checkpoint: Checkpoint, dtype: DType, file: string) => LanguageModel>> = {
  t5: (checkpoint, dtype, file) => new T5(checkpoint, readT5Config(checkpoint.config, file), dtype),
};

/** Opens a Hugging Face model folder. Weights of the wanted dtype stay mapped, others are converted. */
export function loadModel(folder: string, dtype: DType): LanguageModel {
  const checkpoint = Checkpoint.open(folder);
  const file = `${folder}/config.json`;
  const type = checkpoint.config.model_type;
  const family = typeof type === "string" && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (!family) {
    throw new CheckpointError(
      `${file}: model_type is ${JSON.stringify(type)}; supported are ${Object.keys(FAMILIES).join(", ")}.`,
    );
  }
  return noGrad(() => {
    let model: LanguageModel | undefined;
    tidy(() => {
      model = family(checkpoint, dtype, file);
    });
    return model!;
  });
}
