/** Work on a dW that never exists as a whole: a block of its rows at a time. */
import { inference } from "../tensor/grad.js";

/** Numbers in one block: few enough for the processor's cache, and below the 2^24 up to which float32 counts exactly. */
const BLOCK = 2 ** 17;

/** Runs `body` on blocks of rows [start, start + length), each in a scope of its own and without gradients. */
export function forRows(
  rows: number,
  numbersPerRow: number,
  body: (start: number, length: number) => void,
): void {
  const step = Math.max(1, Math.floor(BLOCK / Math.max(1, numbersPerRow)));
  for (let start = 0; start < rows; start += step) {
    inference(() => body(start, Math.min(step, rows - start)));
  }
}
