/** Compares a fused operator with its plain formulation: values and gradients, in float32 and bfloat16. */
import { expect } from "vitest";
import { withKernels } from "../../src/nn/kernels.js";
import { Rng } from "../../src/random.js";
import { tensor } from "../../src/tensor/create.js";
import type { DType } from "../../src/tensor/dtype.js";
import { tidy } from "../../src/tensor/scope.js";
import type { Tensor } from "../../src/tensor/tensor.js";

export interface Input {
  readonly shape: readonly number[];
  /** "compute": the dtype under test; adapters stay float32 whatever the model computes in. */
  readonly dtype: "compute" | "float32";
  readonly trained: boolean;
}

export interface Case {
  readonly inputs: Readonly<Record<string, Input>>;
  readonly run: (tensors: Record<string, Tensor>) => Tensor;
  /** In bfloat16 these are sums with rounded terms, which may be far larger than the sum. */
  readonly sums?: "gradients" | "all";
}

export const trained = (...shape: number[]): Input => ({ shape, dtype: "compute", trained: true });
export const frozen = (...shape: number[]): Input => ({ shape, dtype: "compute", trained: false });
export const factor = (...shape: number[]): Input => ({ shape, dtype: "float32", trained: true });
export const frozenFactor = (...shape: number[]): Input => ({ shape, dtype: "float32", trained: false });

/** Normally distributed numbers that bfloat16 holds exactly, so that both dtypes start from the same values. */
function numbers(rng: Rng, count: number): Float32Array {
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - rng.uniform())) * Math.cos(2 * Math.PI * rng.uniform());
  const values = Float32Array.from({ length: count }, gaussian);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < count; i++) bits[i] = bits[i]! & 0xffff0000;
  return values;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/** The result and the gradient of every trained input, for a fixed random gradient of the result. */
export function measure({ inputs, run }: Case, dtype: DType): Record<string, number[]> {
  return tidy(() => {
    const rng = new Rng(7);
    const tensors: Record<string, Tensor> = {};
    for (const [name, input] of Object.entries(inputs)) {
      const made = tensor(numbers(rng.fork(name), sizeOf(input.shape)), input.shape);
      tensors[name] = input.dtype === "compute" ? made.toDtype(dtype) : made;
      tensors[name].requiresGrad = input.trained;
    }
    const result = run(tensors);
    const upstream = tensor(numbers(rng.fork("upstream"), result.size), result.shape);
    result.toDtype("float32").mul(upstream).sum().backward();
    const gradients = Object.entries(inputs).flatMap(([name, input]): [string, number[]][] =>
      input.trained ? [[`gradient of ${name}`, tensors[name]!.grad!.toArray()]] : [],
    );
    return { result: result.toArray(), ...Object.fromEntries(gradients) };
  });
}

/** Differences of at most `relative` of the element and `ofLargest` of the largest one. */
function expectEqual(
  found: readonly number[],
  expected: readonly number[],
  { relative, ofLargest }: { relative: number; ofLargest: number },
  what: string,
): void {
  expect(found.length, what).toBe(expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const wrong = found.findIndex((value, i) => {
    const allowed = relative * Math.abs(expected[i]!) + ofLargest * largest;
    return !(Math.abs(value - expected[i]!) <= allowed);
  });
  expect(wrong, `${what}: ${found[wrong]} for ${expected[wrong]} (largest ${largest})`).toBe(-1);
}

/**
 * Float32 up to its rounding; bfloat16 up to one rounding of the float32 result, as the arithmetic inside is float32, and
 * sums up to two roundings of the largest.
 */
export function check(subject: Case): void {
  const exact = withKernels("plain", () => measure(subject, "float32"));
  const single = measure(subject, "float32");
  const half = measure(subject, "bfloat16");
  expect(Object.keys(single)).toEqual(Object.keys(exact));
  for (const [name, expected] of Object.entries(exact)) {
    expectEqual(single[name]!, expected, { relative: 0, ofLargest: 2e-6 }, `float32 ${name}`);
    const isSum = subject.sums === "all" || (subject.sums === "gradients" && name !== "result");
    expectEqual(
      half[name]!,
      expected,
      { relative: 2 ** -8, ofLargest: isSum ? 2 ** -7 : 2e-6 },
      `bfloat16 ${name}`,
    );
  }
}
