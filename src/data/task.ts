/** What a stream is made of: examples as text, grouped into tasks, in an order. */

/** A source text in three pieces, so that a cut can shorten the body and keep what surrounds it. */
export interface PromptParts {
  readonly head: string;
  readonly body: string;
  readonly suffix: string;
}

export interface Example {
  /** The whole source text, prompt included. */
  readonly input: string;
  /** The target text (a label, for classification). */
  readonly output: string;
  /** The pieces `input` was joined from, where they are known; their concatenation is `input`. */
  readonly parts?: PromptParts;
}

export interface Task {
  /** Unique within a stream; the dataset's name in the benchmark. */
  readonly name: string;
  /** The label strings in the official order, or null for free text. Used for the out-of-label rate. */
  readonly labels: readonly string[] | null;
  readonly train: readonly Example[];
  readonly test: readonly Example[];
}

export interface TaskStream {
  readonly name: string;
  readonly tasks: readonly Task[];
}
