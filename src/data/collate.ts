/** From rows of token ids to the tensors that a model takes, for both families. */
import type { Batch, LanguageModel } from "../models/language-model.js";
import { tensor } from "../tensor/create.js";
import { causalBatch, type PaddedRows, padBatch, SOURCE_MULTIPLE, seq2seqBatch } from "./batches.js";
import type { EncodedExample } from "./encode.js";

type Place = Pick<LanguageModel, "family" | "padId" | "device">;

const inputsOf = ({ ids, mask, shape }: PaddedRows, { device }: Place) => ({
  inputIds: tensor(ids, shape, "int32", device).toDtype("int64"),
  attentionMask: tensor(mask, shape, "bool", device),
});

/** The tensors of some rows to train on, on the model's device. They belong to the open scope. */
export function batchOf(rows: readonly EncodedExample[], model: Place): Batch {
  const { source, labels } = (model.family === "causal" ? causalBatch : seq2seqBatch)(rows, model.padId);
  return {
    ...inputsOf(source, model),
    labels: tensor(labels.ids, labels.shape, "int32", model.device).toDtype("int64"),
  };
}

/** The tensors of some sources to write answers to, on the model's device. They belong to the open scope. */
export function promptsOf(
  rows: readonly Pick<EncodedExample, "source">[],
  model: Place,
): Pick<Batch, "inputIds" | "attentionMask"> {
  const sources = rows.map(({ source }) => source);
  const side = model.family === "causal" ? "start" : "end";
  return inputsOf(padBatch(sources, model.padId, SOURCE_MULTIPLE, side), model);
}
