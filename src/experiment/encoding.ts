/** Rows as the run's model reads them: with its tokenizer, its end token and the config's limits. */
import { type EncodeOptions, encodeExample } from "../data/encode.js";
import type { Task } from "../data/task.js";
import { CheckpointError } from "../errors.js";
import type { Tokenizer } from "../io/tokenizer/tokenizer.js";
import type { EncodedTask } from "../learn/learn.js";
import type { ModelFacts } from "../models/registry.js";
import type { Config } from "./config.js";

type Limits = Pick<Config, "truncate" | "maxSourceLength" | "maxTargetLength">;

export function encodeOptions(tokenizer: Tokenizer, model: ModelFacts, config: Limits): EncodeOptions {
  const { eosId } = tokenizer;
  const isEnd = eosId !== null && model.endIds.includes(eosId);
  return {
    // The tokenizer knows how this checkpoint ends an answer, if generation stops there.
    endId: model.family === "seq2seq" ? null : isEnd ? eosId : model.eosId,
    truncate: config.truncate,
    sourceLimit: config.maxSourceLength,
    targetLimit: config.maxTargetLength,
  };
}

export function encodeTask(task: Task, tokenizer: Tokenizer, options: EncodeOptions): EncodedTask {
  return {
    name: task.name,
    labels: task.labels,
    train: task.train.map((example) => encodeExample(tokenizer, example, options)),
    test: task.test.map((example) => encodeExample(tokenizer, example, options)),
    answers: task.test.map((example) => example.output),
    inputs: task.test.map((example) => example.input),
  };
}

/** Throws a CheckpointError if the tokenizer of a model folder has tokens that the model has no embedding for. */
export function checkVocabulary(tokenizer: Tokenizer, { vocabularySize }: ModelFacts, folder: string): void {
  if (tokenizer.vocabSize <= vocabularySize) return;
  throw new CheckpointError(
    `The tokenizer of ${folder} has ${tokenizer.vocabSize} tokens, but the model's embedding has only ${vocabularySize} rows.`,
    { hint: "Use the tokenizer.json that belongs to this checkpoint." },
  );
}
