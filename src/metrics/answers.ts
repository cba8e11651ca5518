/** Comparing generated text with labels: the official exact match, and whether an answer is a label at all. */

/** Lower case, ASCII punctuation removed, white space collapsed, as the official scorer does to both sides. */
export function normalizeAnswer(text: string): string {
  return text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, "")
    .replace(/\p{White_Space}+/gu, " ")
    .trim();
}

export function isExactMatch(prediction: string, target: string): boolean {
  return normalizeAnswer(prediction) === normalizeAnswer(target);
}

/** True if a prediction, normalised, is none of the task's labels. */
export function isOutOfLabel(prediction: string, labels: readonly string[]): boolean {
  return !labels.some((label) => isExactMatch(prediction, label));
}

export interface AnswerScore {
  /** Exact match, percent; null without rows. */
  readonly accuracy: number | null;
  /** Share of predictions outside the label set, in [0, 1]; null without rows or without a label set. */
  readonly outOfLabelRate: number | null;
  readonly rows: number;
}

/** Scores one task's predictions against its targets, row by row. */
export function scoreAnswers(
  answers: readonly { readonly prediction: string; readonly target: string }[],
  labels: readonly string[] | null,
): AnswerScore {
  const rows = answers.length;
  if (rows === 0) return { accuracy: null, outOfLabelRate: null, rows };
  const correct = answers.filter((answer) => isExactMatch(answer.prediction, answer.target)).length;
  const outside = labels && answers.filter((answer) => isOutOfLabel(answer.prediction, labels)).length;
  return {
    accuracy: (100 * correct) / rows,
    outOfLabelRate: outside === null ? null : outside / rows,
    rows,
  };
}
