/** A strength that is steered so that what it acts on reaches a target: more of it while there is too much left. */

export interface Target {
  /** The share to reach, in (0, 1]. */
  readonly value: number;
  /** Steps between corrections. */
  readonly every: number;
  /** Largest change of the strength's logarithm in one correction. */
  readonly kappa: number;
}

const RANGE = 1000;

/**
 * factor <- factor exp(kappa e), e = (measured - target) / target cut to [-1, 1]: relative, so that a small target is
 * approached from below as fast as from above. Starts at 1 and stays within [1e-3, 1e3].
 */
export class ClosedLoop {
  #factor = 1;

  constructor(readonly target: Target | null) {}

  get factor(): number {
    return this.#factor;
  }

  restart(): void {
    this.#factor = 1;
  }

  /** `measure` is called only at steps (from 1) at which the factor is corrected. */
  observe(step: number, measure: () => number): void {
    if (this.target === null || step % this.target.every !== 0) return;
    const { value, kappa } = this.target;
    const error = Math.min(1, Math.max(-1, (measure() - value) / value));
    this.#factor = Math.min(RANGE, Math.max(1 / RANGE, this.#factor * Math.exp(kappa * error)));
  }
}
