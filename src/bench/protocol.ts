/** What a benchmark's subject is asked and answers: one JSON object per line, so that a Python peer can take part. */

export interface ModelShape {
  readonly d_model: number;
  readonly d_ff: number;
  readonly heads: number;
  readonly d_kv: number;
  readonly layers: number;
  readonly vocab: number;
}

export interface Setup {
  readonly cmd: "setup";
  readonly model: ModelShape;
  readonly batch: number;
  readonly source: number;
  readonly target: number;
  readonly dtype: "float32" | "bfloat16";
  readonly dropout: number;
  readonly rank: number;
  readonly alpha: number;
  readonly threads: number;
  readonly seed: number;
  readonly penalty: boolean;
}

export type Command =
  | Setup
  | { readonly cmd: "train"; readonly steps: number }
  | { readonly cmd: "evaluate"; readonly batches: number; readonly maxNewTokens: number }
  | { readonly cmd: "memory" }
  | { readonly cmd: "quit" };

export interface Answer {
  readonly error?: string;
  /** Version of libtorch, in the answer to setup. */
  readonly torch?: string;
  /** One per step or batch. */
  readonly seconds?: readonly number[];
  readonly loss?: number;
  readonly peakBytes?: number;
}
