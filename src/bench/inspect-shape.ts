/** What the two sides of the analysis benchmark agree on. */

export interface InspectAnswer {
  readonly seconds: number;
  /** Of all threads. */
  readonly processorSeconds: number;
  readonly peakBytes: number;
}

/** Seconds, and seconds of all threads together. */
export type Timing = readonly [seconds: number, processorSeconds: number];

/** One round: memory bandwidth and passes over one module. */
export interface PassAnswer {
  /** Read once; copied: read and written. */
  readonly bytes: number;
  readonly read: Timing;
  readonly copy: Timing;
  /** Elements of dW that a pass forms. */
  readonly elements: number;
  readonly passes: Readonly<Record<string, Timing>>;
}

export const SHAPE = { adapters: 15, layers: 32, width: 4096, rank: 8 } as const;
