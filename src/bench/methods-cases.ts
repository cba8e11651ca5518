/** What the two sides of the methods benchmark agree on. */

export interface MethodCase {
  /** As in a config's `method`. */
  readonly options: object;
  readonly previousAdapters: "stacked" | "merged";
  /** Adapters that the stream starts from, of random values. */
  readonly earlier: number;
  /** Tasks of the stream. */
  readonly tasks: number;
  /** The task that is looked at, from 0; those before it are trained for a step. */
  readonly task: number;
}

export interface StepAnswer {
  /** Seconds, and seconds of all threads. */
  readonly steps: readonly (readonly [number, number])[];
}

export interface StreamAnswer {
  /** Of this process's own memory, after each task. */
  readonly residentBytes: readonly number[];
  readonly peakBytes: number;
}
