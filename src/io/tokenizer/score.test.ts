import { expect, it } from "vitest";
import { scoreAsRead } from "./score.js";

// Right-hand sides: what Tokenizer.from_str(...).to_str() of the Python library gives back.
it.each([
  [-9.556343078613281, -9.55634307861328],
  [-10.101415634155273, -10.101415634155272],
  [123456789012345.67, 123456789012345.69],
  [-2.1889710426330566, -2.1889710426330566],
  [-0.00012345678901234567, -0.00012345678901234567],
  [-12.345678901234567, -12.345678901234567],
  [-3.5, -3.5],
  [-100, -100],
  [0, 0],
])("the score %d is read as %d", (score, read) => {
  expect(scoreAsRead(score)).toBe(read);
});
