/** What the fused operators refuse, and how; and that empty tensors are none of it. */
import { describe, expect, it } from "vitest";
import { TensorError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import * as fused from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

describe("refuses what does not fit, naming the operator and the shapes:", () => {
  const t = (...shape: number[]) => fused.zeros(shape);
  const whole = (...shape: number[]) => fused.zeros(shape, { dtype: "int64" });
  const linear = (x: Tensor, a: Tensor, b: Tensor, offset = 0, scales = [1]) =>
    fused.loraLinear(x, t(6, 4), null, [a], [b], [offset], scales, [0], 0, 1);
  const calls: [string, RegExp, () => unknown][] = [
    [
      "rmsNorm, weight of another length",
      /rms_norm.*\[2, 3\].*\[4\]/,
      () => fused.rmsNorm(t(2, 3), t(4), 1e-6),
    ],
    ["dropout of whole numbers", /dropout.*expected a floating-point/, () => fused.dropout(whole(3), 0.1, 1)],
    ["dropout with p = 2", /dropout.*p is 2/, () => fused.dropout(t(3), 2, 1)],
    ["dropoutAdd of unequal shapes", /dropout_add.*\[2\].*\[3\]/, () => fused.dropoutAdd(t(2), t(3), 0.1, 1)],
    [
      "dropoutAdd of unequal dtypes",
      /dropout_add/,
      () => fused.dropoutAdd(t(2), t(2).toDtype("bfloat16"), 0.1, 1),
    ],
    [
      "gatedGeluDropout of unequal shapes",
      /gated_gelu_dropout/,
      () => fused.gatedGeluDropout(t(2), t(3), 0, 1),
    ],
    ["siluMultiply of unequal shapes", /silu_multiply.*\[2\].*\[3\]/, () => fused.siluMultiply(t(2), t(3))],
    [
      "rotate of heads of an odd width",
      /rotate.*\[1, 2, 6\].*2 heads of an even width/,
      () => fused.rotate(t(1, 2, 6), t(1, 2, 1), t(1, 2, 1), 2, 1),
    ],
    [
      "rotate by angles of other positions",
      /rotate.*\[1, 3, 2\].*expected \[1 or 1, 2, 2\]/,
      () => fused.rotate(t(1, 2, 8), t(1, 3, 2), t(1, 3, 2), 2, 1),
    ],
    [
      "selfAttention, columns that three do not divide",
      /self_attention/,
      () => fused.selfAttention(t(2, 3, 8), 2, null, null, 0, 1),
    ],
    [
      "selfAttention, heads that do not divide the columns",
      /self_attention/,
      () => fused.selfAttention(t(2, 3, 12), 3, null, null, 0, 1),
    ],
    [
      "crossAttention, keys of another batch",
      /cross_attention.*\[2, 3, 8\].*\[1, 5, 8\]/,
      () => fused.crossAttention(t(2, 3, 8), t(1, 5, 8), t(1, 5, 8), 2, null, null, 0, 1),
    ],
    [
      "crossAttention, values unlike keys",
      /cross_attention/,
      () => fused.crossAttention(t(2, 3, 8), t(2, 5, 8), t(2, 4, 8), 2, null, null, 0, 1),
    ],
    [
      "crossAttention, a mask of another length",
      /cross_attention.*mask/,
      () => fused.crossAttention(t(2, 3, 8), t(2, 5, 8), t(2, 5, 8), 2, null, t(2, 3), 0, 1),
    ],
    [
      "crossAttention, a bias of another shape",
      /cross_attention.*bias/,
      () => fused.crossAttention(t(2, 3, 8), t(2, 5, 8), t(2, 5, 8), 2, t(1, 2, 5, 3), null, 0, 1),
    ],
    [
      "selfAttention, a bias of too few dimensions",
      /self_attention/,
      () => fused.selfAttention(t(1, 1, 3), 1, t(1), null, 0, 1),
    ],
    [
      "causalAttention, heads that cannot share",
      /causal_attention: 3 heads cannot share 2/,
      () => fused.causalAttention(t(1, 2, 6), t(1, 2, 4), t(1, 2, 4), 3, 2, 2, null, 0, 1),
    ],
    [
      "causalAttention, more queries than keys",
      /causal_attention.*3 queries on 2 keys/,
      () => fused.causalAttention(t(1, 3, 4), t(1, 2, 4), t(1, 2, 4), 2, 2, 2, null, 0, 1),
    ],
    [
      "causalAttention, a window of nothing",
      /causal_attention: window is 0/,
      () => fused.causalAttention(t(1, 2, 4), t(1, 2, 4), t(1, 2, 4), 2, 2, 0, null, 0, 1),
    ],
    [
      "memoryAttention, a weight of another width",
      /memory_attention.*weight of the values.*\[4, 6\]/,
      () =>
        fused.memoryAttention(
          t(1, 2, 4),
          t(1, 3, 5),
          t(4, 5),
          t(4, 6),
          null,
          null,
          null,
          null,
          2,
          null,
          0,
          1,
        ),
    ],
    [
      "memoryAttention, hidden values without their second factor",
      /memory_attention: the addition to the keys/,
      () =>
        fused.memoryAttention(
          t(1, 2, 4),
          t(1, 3, 5),
          t(4, 5),
          t(4, 5),
          t(1, 3, 2),
          null,
          null,
          null,
          2,
          null,
          0,
          1,
        ),
    ],
    ["loraLinear, x of another width", /lora_linear/, () => linear(t(2, 5), t(1, 4), t(6, 1))],
    ["loraLinear, A of another width", /lora_linear.*\[1, 5\]/, () => linear(t(2, 4), t(1, 5), t(6, 1))],
    ["loraLinear, A and B of different ranks", /lora_linear/, () => linear(t(2, 4), t(1, 4), t(6, 2))],
    [
      "loraLinear, a term beyond the outputs",
      /lora_linear.*columns 3 to 9 of 6/,
      () => linear(t(2, 4), t(1, 4), t(6, 1), 3),
    ],
    ["loraLinear, a negative offset", /lora_linear/, () => linear(t(2, 4), t(1, 4), t(2, 1), -1)],
    [
      "loraLinear, two scales for one term",
      /lora_linear/,
      () => linear(t(2, 4), t(1, 4), t(6, 1), 0, [1, 2]),
    ],
    [
      "crossEntropy, too few labels",
      /cross_entropy.*\[3, 5\].*\[2\]/,
      () => fused.crossEntropy(t(3, 5), whole(2), -100),
    ],
    [
      "crossEntropy, labels that are no int64",
      /cross_entropy/,
      () => fused.crossEntropy(t(3, 5), t(3), -100),
    ],
    [
      "crossEntropy, a label out of range",
      /label 5 at position 1 is out of range, expected 0 to 4/,
      () => fused.crossEntropy(t(2, 5), tensor([0, 5], [2], "int64"), -100),
    ],
    [
      "crossEntropy, a negative label",
      /label -1 at position 0/,
      () => fused.crossEntropy(t(1, 5), tensor([-1], [1], "int64"), -100),
    ],
    ["deltaL1, a factor missing", /delta_l1.*1 a, 0 b/, () => fused.deltaL1([t(2, 3)], [], [1])],
    [
      "deltaL1, different ranks",
      /delta_l1.*\[2, 3\].*\[4, 1\]/,
      () => fused.deltaL1([t(2, 3)], [t(4, 1)], [1]),
    ],
    ["deltaStats, a negative threshold", /delta_stats.*-1/, () => fused.deltaStats(t(2, 3), t(4, 2), [-1])],
    [
      "collisionCounts, modules of different shapes",
      /collision_counts.*4 x 5.*4 x 3/,
      () => fused.collisionCounts([t(2, 3), t(2, 5)], [t(4, 2), t(4, 2)], [0, 0]),
    ],
    [
      "adamw, a gradient of another shape",
      /adamw_.*\[3\].*\[2\]/,
      () => fused.adamw_([t(3)], [t(2)], [t(3)], [t(3)], 1, 0.9, 0.999, 1e-8, 0, 1, 1),
    ],
    ["gradNorm of whole numbers", /grad_norm/, () => fused.gradNorm([whole(2)])],
  ];
  it.each(calls)("%s", (_, message, call) => {
    let error: unknown;
    tidy(() => {
      try {
        call();
      } catch (thrown) {
        error = thrown;
      }
    });
    expect(error).toBeInstanceOf(TensorError);
    expect((error as Error).message).toMatch(message);
  });

  it("and takes tensors without elements", () => {
    tidy(() => {
      expect(fused.rmsNorm(t(0, 5), t(5), 1e-6).shape).toEqual([0, 5]);
      expect(fused.dropout(t(0), 0.1, 1).shape).toEqual([0]);
      expect(fused.selfAttention(t(0, 2, 12), 2, null, null, 0.1, 1).shape).toEqual([0, 2, 4]);
      expect(linear(t(0, 4), t(1, 4), t(6, 1)).shape).toEqual([0, 6]);
      expect(fused.crossEntropy(t(0, 5), whole(0), -100).item()).toBeNaN();
      expect(fused.gradNorm([]).item()).toBe(0);
    });
  });
});
