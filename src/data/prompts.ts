/** The benchmark's prompt, byte for byte as the released collator assembles it (N-LoRA, Table 6; the official scripts). */
import type { Example, PromptParts } from "./task.js";

/**
 * Whether the prompt names the task family and the dataset (official), leaves both lines out, or names a dataset of the
 * stream drawn at random for every row: the same words, but no hint at the task.
 */
export type PromptIdentity = "task+dataset" | "none" | "shuffled";

/** What a prompt needs to know of a dataset; a catalog entry is one. */
export interface PromptSource {
  readonly name: string;
  readonly family: string;
  /** One line without its newline; null: neither instruction nor option line. */
  readonly instruction: string | null;
}

/**
 * The three pieces of a source text; joined they are the prompt. The body is the sentence as it stands in the data, so
 * a sentence that ends with a newline gives a blank line before "Answer:", as in the release.
 */
export function renderPrompt(
  dataset: PromptSource,
  labels: readonly string[],
  sentence: string,
  options: {
    /** The family and name in the first two lines; null leaves the lines out. Default: the dataset's own. */
    readonly identity?: Pick<PromptSource, "name" | "family"> | null;
  } = {},
): PromptParts {
  const { identity: named = dataset } = options;
  const identity = named === null ? "" : `Task:${named.family}\nDataset:${named.name}\n`;
  const question = dataset.instruction === null ? "" : `${dataset.instruction}\n${optionLine(labels)}`;
  return { head: identity + question, body: sentence, suffix: "\nAnswer:" };
}

/** The labels to choose from. The blank before the newline is official. */
export function optionLine(labels: readonly string[]): string {
  return `Option: ${labels.join(", ")} \n`;
}

/** The source text of a prompt. */
export function joinPrompt(parts: PromptParts): string {
  return parts.head + parts.body + parts.suffix;
}

/** An example from prompt pieces and its label. */
export function promptExample(parts: PromptParts, output: string): Example {
  return { input: joinPrompt(parts), output, parts };
}
