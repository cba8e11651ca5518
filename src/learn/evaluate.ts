/** Answers to a task's test rows by greedy generation, and how many of them are right. */
import { evaluationBatches } from "../data/batches.js";
import { promptsOf } from "../data/collate.js";
import type { ActiveMethod } from "../methods/method.js";
import { isExactMatch, scoreAnswers } from "../metrics/answers.js";
import { greedy } from "../models/generate.js";
import type { LanguageModel } from "../models/language-model.js";
import { inference } from "../tensor/grad.js";
import type { RunEvent } from "./events.js";
import type { EncodedTask } from "./learn.js";

export interface EvaluationSettings {
  readonly batchSize: number;
  readonly maxNewTokens: number;
}

/** One line of a predictions file. */
export interface Prediction {
  readonly row: number;
  readonly input: string;
  readonly target: string;
  readonly prediction: string;
  readonly correct: boolean;
}

/** What turning ids into text needs of a tokenizer. */
export interface TextDecoder {
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string;
}

/** Answers every test row of a task; yields progress and one `evaluation` event, returns the predictions in row order. */
export function* evaluateTask(
  model: LanguageModel,
  method: Pick<ActiveMethod, "prefix">,
  tokenizer: TextDecoder,
  task: EncodedTask,
  index: number,
  afterIndex: number,
  settings: EvaluationSettings,
): Generator<RunEvent, Prediction[]> {
  const started = performance.now();
  const predictions: Prediction[] = [];
  const plan = evaluationBatches(
    task.test.map((row) => row.source.length),
    settings.batchSize,
  );
  let done = 0;
  for (const rows of plan) {
    const generated = inference(() => {
      const sources = rows.map((row) => task.test[row]!);
      const decoding = model.startDecoding({ ...promptsOf(sources, model), prefix: method.prefix(sources) });
      return greedy(decoding, { endIds: model.endIds, maxNewTokens: settings.maxNewTokens });
    });
    for (const [i, row] of rows.entries()) {
      const prediction = tokenizer.decode(generated[i]!, { skipSpecialTokens: true }).trim();
      const target = task.answers[row]!;
      predictions.push({
        row,
        input: task.inputs[row]!,
        target,
        prediction,
        correct: isExactMatch(prediction, target),
      });
    }
    done += rows.length;
    yield { type: "evaluation-progress", task: task.name, afterIndex, done, rows: task.test.length };
  }
  predictions.sort((a, b) => a.row - b.row);
  const score = scoreAnswers(predictions, task.labels);
  yield {
    type: "evaluation",
    task: task.name,
    index,
    afterIndex,
    accuracy: score.accuracy ?? 0,
    outOfLabelRate: score.outOfLabelRate,
    rows: task.test.length,
    seconds: (performance.now() - started) / 1000,
  };
  return predictions;
}
