/** Every fused operator against its plain formulation under equal seeds: values and gradients. */
import { afterEach, describe, expect, it } from "vitest";
import {
  type Case,
  check,
  factor,
  frozen,
  frozenFactor,
  measure,
  trained,
} from "../../test/support/formulations.js";
import { tensor } from "../tensor/create.js";
import * as fused from "../tensor/functions.gen.js";
import { getThreads, setThreads } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import * as kernels from "./kernels.js";
import { keepProbability } from "./low-rank.js";

const PROBABILITIES = [0, 0.1, 0.5];

describe("equals its plain formulation:", () => {
  it.each([[[3, 7, 33]], [[1, 512]], [[70, 5]]])("rmsNorm of %j", (shape) => {
    check({
      inputs: { x: trained(...shape), weight: trained(shape.at(-1)!) },
      run: ({ x, weight }) => kernels.rmsNorm(x!, weight!, 1e-6),
    });
  });

  it.each(PROBABILITIES)("dropout with p = %s", (p) => {
    check({ inputs: { x: trained(5, 131) }, run: ({ x }) => kernels.dropout(x!, p, 11) });
  });

  it.each(PROBABILITIES)("dropoutAdd with p = %s", (p) => {
    check({
      inputs: { x: trained(3, 5, 37), residual: trained(3, 5, 37) },
      run: ({ x, residual }) => kernels.dropoutAdd(x!, residual!, p, 12),
    });
  });

  it.each(PROBABILITIES)("reluDropout with p = %s", (p) => {
    check({ inputs: { x: trained(9, 67) }, run: ({ x }) => kernels.reluDropout(x!, p, 13) });
  });

  it.each(PROBABILITIES)("gatedGeluDropout with p = %s", (p) => {
    check({
      inputs: { gate: trained(9, 67), value: trained(9, 67) },
      run: ({ gate, value }) => kernels.gatedGeluDropout(gate!, value!, p, 14),
    });
  });

  it("siluMultiply, also of large and of negative numbers", () => {
    check({
      inputs: { gate: trained(9, 67), value: trained(9, 67) },
      run: ({ gate, value }) => kernels.siluMultiply(gate!.mul(8), value!),
    });
  });

  it.each([
    { batch: 2, length: 5, heads: 3, half: 3, rows: 2 },
    { batch: 3, length: 7, heads: 2, half: 20, rows: 1 },
    { batch: 1, length: 33, heads: 4, half: 64, rows: 1 },
  ])(
    "rotate, $heads heads of 2 x $half, a slice of $batch x $length",
    ({ batch, length, heads, half, rows }) => {
      check({
        inputs: {
          wide: trained(batch, length, 2 * heads * half + 5),
          cos: frozenFactor(rows, length, half),
          sin: frozenFactor(rows, length, half),
        },
        run: ({ wide, cos, sin }) =>
          kernels.rotate(wide!.narrow(2, 3, 2 * heads * half), cos!, sin!, heads, 0.3),
      });
    },
  );

  const keyMask = (batch: number, keys: number) => () =>
    tensor(
      // The last row of the batch has no key at all.
      Array.from({ length: batch * keys }, (_, i) => (i >= (batch - 1) * keys ? 0 : i % 5 === 3 ? 0 : 1)),
      [batch, keys],
      "bool",
    );
  const mixes = [
    { batch: 2, queries: 5, keys: 11, heads: 3, width: 7 },
    { batch: 2, queries: 101, keys: 67, heads: 2, width: 64 },
    { batch: 3, queries: 1, keys: 16, heads: 4, width: 32 },
  ].flatMap((sizes) => [0, 0.1].flatMap((p) => [true, false].map((full) => ({ ...sizes, p, full }))));
  it.each(mixes)(
    "attention, $batch x $queries queries on $keys keys, $heads heads of $width, p = $p, bias and mask: $full",
    ({ batch, queries, keys, heads, width, p, full }) => {
      check({
        inputs: {
          query: trained(batch, queries, heads * width),
          key: trained(batch, keys, heads * width),
          value: trained(batch, keys, heads * width),
          bias: frozen(1, heads, queries, keys),
        },
        run: ({ query, key, value, bias }) =>
          kernels.attention({
            // Small enough that a row's probability is spread over several keys.
            query: query!.mul(0.25),
            key: key!,
            value: value!,
            heads,
            bias: full ? bias! : null,
            mask: full ? keyMask(batch, keys)() : null,
            p,
            seed: 23,
          }),
        sums: "all",
      });
    },
  );

  it.each([
    { queries: 9, keys: 9, heads: 2, keyValueHeads: 2, width: 5, window: null },
    { queries: 115, keys: 115, heads: 4, keyValueHeads: 2, width: 16, window: null },
    { queries: 100, keys: 170, heads: 2, keyValueHeads: 1, width: 32, window: 40 },
    { queries: 1, keys: 67, heads: 6, keyValueHeads: 3, width: 8, window: 11 },
    { queries: 1, keys: 67, heads: 8, keyValueHeads: 2, width: 64, window: null },
  ])(
    "causalAttention, the last $queries of $keys positions, $heads heads on $keyValueHeads, window $window",
    ({ queries, keys, heads, keyValueHeads, width, window }) => {
      for (const [p, masked] of [
        [0, false],
        [0.1, true],
      ] as const) {
        check({
          inputs: {
            query: trained(2, queries, heads * width),
            key: trained(2, keys, keyValueHeads * width),
            value: trained(2, keys, keyValueHeads * width),
          },
          run: ({ query, key, value }) =>
            kernels.causalAttention({
              query: query!.mul(0.25),
              key: key!,
              value: value!,
              heads,
              keyValueHeads,
              window,
              mask: masked ? keyMask(2, keys)() : null,
              p,
              seed: 25,
            }),
          sums: "all",
        });
      }
    },
  );

  it.each([
    { queries: 3, keys: 11, heads: 2, width: 5, inputs: 7, additions: "none" },
    { queries: 8, keys: 67, heads: 4, width: 16, inputs: 70, additions: "values" },
    { queries: 1, keys: 33, heads: 8, width: 8, inputs: 64, additions: "both" },
  ])(
    "memoryAttention, $queries queries on $keys keys, $heads heads of $width, additions: $additions",
    ({ queries, keys, heads, width, inputs, additions }) => {
      const [inner, rank] = [heads * width, 3];
      for (const p of [0, 0.1]) {
        check({
          inputs: {
            query: trained(2, queries, inner),
            memory: trained(2, keys, inputs),
            keyWeight: frozen(inner, inputs),
            valueWeight: frozen(inner, inputs),
            keyHidden: trained(2, keys, rank),
            valueHidden: trained(2, keys, rank),
            keyUp: factor(inner, rank),
            valueUp: factor(inner, rank),
          },
          run: (t) => {
            const [onKeys, onValues] = [additions === "both", additions !== "none"];
            const mixed = kernels.memoryAttention({
              query: t.query!.mul(0.25 / Math.sqrt(inputs)),
              memory: t.memory!,
              key: {
                weight: t.keyWeight!,
                hidden: onKeys ? t.keyHidden! : null,
                up: onKeys ? t.keyUp! : null,
              },
              value: {
                weight: t.valueWeight!,
                hidden: onValues ? t.valueHidden! : null,
                up: onValues ? t.valueUp! : null,
              },
              heads,
              mask: p > 0 ? keyMask(2, keys)() : null,
              p,
              seed: 26,
            });
            // Every input has a gradient, whichever take part.
            const rest = [t.keyHidden!, t.valueHidden!, t.keyUp!, t.valueUp!];
            return rest.reduce((total, each) => total.add(each.sum().toDtype(total.dtype)), mixed);
          },
          sums: "all",
        });
      }
    },
  );

  it.each([0, 0.1])("selfAttention with p = %s", (p) => {
    for (const [length, heads, width] of [
      [9, 2, 5],
      [53, 4, 16],
    ] as const) {
      check({
        inputs: { qkv: trained(2, length, 3 * heads * width), bias: frozen(1, heads, length, length) },
        run: ({ qkv, bias }) =>
          kernels.selfAttention(qkv!, { heads, bias: bias!, mask: keyMask(2, length)(), p, seed: 24 }),
        sums: "all",
      });
    }
  });

  const linearInputs = { x: trained(2, 5, 19), weight: frozen(23, 19), bias: frozen(23) };
  describe.each(PROBABILITIES)("lowRankLinear with p = %s", (p) => {
    it.each([true, false])("and no terms, bias: %s", (biased) => {
      check({
        inputs: linearInputs,
        run: ({ x, weight, bias }) =>
          kernels.lowRankLinear({
            x: x!,
            weight: weight!,
            bias: biased ? bias! : null,
            terms: [],
            p,
            seed: 17,
          }),
        sums: "all",
      });
    });

    it("and a frozen and a trained term of different ranks on all outputs", () => {
      check({
        inputs: {
          ...linearInputs,
          a0: frozenFactor(6, 19),
          b0: frozenFactor(23, 6),
          a1: factor(3, 19),
          b1: factor(23, 3),
        },
        run: ({ x, weight, bias, a0, b0, a1, b1 }) =>
          kernels.lowRankLinear({
            x: x!,
            weight: weight!,
            bias: bias!,
            terms: [
              { a: a0!, b: b0!, scale: 0.5, offset: 0, group: 0 },
              { a: a1!, b: b1!, scale: 4, offset: 0, group: 0 },
            ],
            p,
            seed: 18,
          }),
        sums: "all",
      });
    });

    it("and terms of several groups with columns between them that have none", () => {
      check({
        inputs: {
          ...linearInputs,
          a0: factor(1, 19),
          b0: factor(6, 1),
          a1: factor(5, 19),
          b1: factor(6, 5),
          a2: factor(2, 19),
          b2: factor(7, 2),
        },
        run: ({ x, weight, a0, b0, a1, b1, a2, b2 }) =>
          kernels.lowRankLinear({
            x: x!,
            weight: weight!,
            bias: null,
            terms: [
              { a: a2!, b: b2!, scale: 1.25, offset: 11, group: 3 },
              { a: a0!, b: b0!, scale: 2, offset: 2, group: 1 },
              { a: a1!, b: b1!, scale: 1, offset: 2, group: 1 },
            ],
            p,
            seed: 2 ** 32 - 1,
          }),
        sums: "all",
      });
    });
  });

  it("crossEntropy, some labels ignored", () => {
    const labels = [0, 36, -100, 5, 5, -100, 17, 1, 2];
    check({
      inputs: { logits: trained(9, 37) },
      run: ({ logits }) => kernels.crossEntropy(logits!, tensor(labels, [9], "int64")),
    });
  });

  it("deltaL1 of several modules, one of them zero", () => {
    check({
      inputs: {
        a0: factor(3, 37),
        b0: factor(45, 3),
        a1: factor(1, 8),
        b1: factor(5, 1),
        a2: factor(9, 130),
        b2: factor(300, 9),
      },
      run: ({ a0, b0, a1, b1, a2, b2 }) =>
        kernels.deltaL1([a0!, a1!, a2!, a2!], [b0!, b1!, b2!, b2!.mul(0)], [0.5, 2, 0.125, 1]),
    });
  });

  it("operators on tensors whose elements do not lie in order", () => {
    check({ inputs: { x: trained(31, 6) }, run: ({ x }) => kernels.dropout(x!.t(), 0.1, 21) });
    check({
      inputs: { x: trained(31, 6), weight: trained(31) },
      run: ({ x, weight }) => kernels.rmsNorm(x!.t(), weight!, 1e-6),
    });
    check({
      inputs: { x: trained(19, 6), weight: frozen(19, 23), a: factor(19, 2), b: factor(2, 23) },
      run: ({ x, weight, a, b }) =>
        kernels.lowRankLinear({
          x: x!.t(),
          weight: weight!.t(),
          bias: null,
          terms: [{ a: a!.t(), b: b!.t(), scale: 2, offset: 0, group: 0 }],
          p: 0.1,
          seed: 22,
        }),
      sums: "all",
    });
  });
});

describe("dropout", () => {
  it("keeps the share it promises, scales what it keeps, and differs from seed to seed", () => {
    tidy(() => {
      const [n, p] = [200_000, 0.1];
      const [first, second] = [1, 2].map((seed) => kernels.dropout(fused.ones([n]), p, seed).toArray());
      const keep = keepProbability(p);
      const both = (test: (x: number, y: number) => boolean) =>
        first!.filter((value, i) => test(value, second![i]!)).length / n;
      expect(new Set(first)).toEqual(new Set([0, Math.fround(1 / keep)]));
      expect(Math.abs(both((x) => x !== 0) - keep)).toBeLessThan(0.003);
      expect(Math.abs(both((x, y) => x !== 0 && y !== 0) - keep ** 2)).toBeLessThan(0.004);
    });
  });

  it("with p = 1 keeps nothing, with a p below 1/512 everything", () => {
    tidy(() => {
      expect(
        fused
          .dropout(fused.ones([50]), 1, 3)
          .sum()
          .item(),
      ).toBe(0);
      expect(
        fused
          .dropout(fused.ones([50]), 0.001, 3)
          .sum()
          .item(),
      ).toBe(50);
    });
  });
});

describe("on two threads", () => {
  const before = getThreads();
  afterEach(() => setThreads(before));

  const cases: Record<string, Case> = {
    dropout: { inputs: { x: trained(300, 301) }, run: ({ x }) => kernels.dropout(x!, 0.1, 31) },
    rmsNorm: {
      inputs: { x: trained(300, 301), weight: trained(301) },
      run: ({ x, weight }) => kernels.rmsNorm(x!, weight!, 1e-6),
    },
    selfAttention: {
      inputs: { qkv: trained(3, 65, 3 * 4 * 16) },
      run: ({ qkv }) => kernels.selfAttention(qkv!, { heads: 4, bias: null, mask: null, p: 0.1, seed: 34 }),
    },
    deltaL1: {
      inputs: { a: factor(4, 300), b: factor(1000, 4) },
      run: ({ a, b }) => kernels.deltaL1([a!], [b!], [1]),
    },
    crossEntropy: {
      inputs: { logits: trained(70, 1001) },
      run: ({ logits }) => kernels.crossEntropy(logits!, fused.arange(0, 70, 1, { dtype: "int64" })),
    },
    lowRankLinear: {
      inputs: { x: trained(130, 40), weight: frozen(50, 40), a: factor(4, 40), b: factor(50, 4) },
      run: ({ x, weight, a, b }) =>
        kernels.lowRankLinear({
          x: x!,
          weight: weight!,
          bias: null,
          terms: [{ a: a!, b: b!, scale: 1, offset: 0, group: 0 }],
          p: 0.1,
          seed: 33,
        }),
    },
  };
  it.each(Object.entries(cases))("%s is the same to the last bit as on one", (_, subject) => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [one, two] = [1, 2].map((threads) => {
        setThreads(threads);
        return measure(subject, dtype);
      });
      expect(two).toEqual(one);
    }
  });
});
