/** What the paper reports, as data: Tables 1, 3, 4 and 8 of N-LoRA (arXiv 2410.10179), T5-large and LLaMA-7B. */

/** Average accuracy in percent, by method and order. Rows with a reading problem are as printed (docs/reproduction.md). */
export const PAPER_ACCURACY: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "prog-prompt": orders(75.2, 75.0, 75.1, 78.0, 77.7, 77.9),
  "per-task-ft": orders(70.0, 70.0, 70.0, 78.1, 78.1, 78.1),
  mtl: orders(80.0, 80.0, 80.0, 76.5, 76.5, 76.5),
  "seq-ft": orders(18.9, 24.9, 41.7, 7.4, 7.4, 7.5),
  "seq-lora": orders(44.6, 32.7, 53.7, 0.6, 1.9, 1.6),
  "inc-lora": orders(66.0, 64.9, 68.3, 63.3, 58.5, 61.7),
  replay: orders(55.2, 56.9, 61.3, 55.0, 54.6, 53.1),
  ewc: orders(48.7, 47.7, 54.5, 45.3, 44.5, 45.6),
  lwf: orders(54.4, 53.1, 49.6, 50.1, 43.1, 47.4),
  l2p: orders(60.3, 61.7, 61.1, 57.5, 53.8, 56.9),
  lfpt5: orders(67.6, 72.6, 77.9, 70.4, 68.2, 69.1),
  "o-lora": { ...orders(75.4, 75.7, 76.3, 72.3, 64.8, 71.6), ...llama(76.8, 75.7, 75.7) },
  "n-lora": { ...orders(79.2, 78.4, 78.8, 73.6, 70.3, 73.2), ...llama(77.2, 77.3, 78.4) },
  "o-lora-n-lora": orders(79.7, 79.8, 79.1, 72.9, 67.2, 74.0),
};

/** What the abstract and the text claim of N-LoRA against O-LoRA: points of AA, and factors of the geometry. */
export const PAPER_CLAIMS = {
  accuracyGain: 2.9,
  overlapFactor: 4.1,
  magnitudeFactor: 388,
  collisionFactor: 58,
};

function orders(...values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((value, index) => [`order-${index + 1}`, value]));
}

function llama(...values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((value, index) => [`llama-${index + 1}`, value]));
}
