import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { TensorError } from "../errors.js";
import { tensor } from "./create.js";
import { cat, full } from "./functions.gen.js";
import { gradients, inference, isRecording, noGrad } from "./grad.js";
import { guarded } from "./native.js";
import { liveTensors, tidy } from "./scope.js";
import type { Tensor } from "./tensor.js";

it("computes what PyTorch computes", () => {
  tidy(() => {
    const a = tensor([1, 2, 3, 4], [2, 2]);
    const b = tensor([5, 6, 7, 8], [2, 2]);
    expect(a.matmul(b).toArray()).toEqual([19, 22, 43, 50]);
    expect(a.add(1).mul(b).sum().item()).toBe(10 + 18 + 28 + 40);
    expect(cat([a, b], 1).shape).toEqual([2, 4]);
    expect(a.sumDim([0]).toArray()).toEqual([4, 6]);
    expect(a.t().contiguous().toArray()).toEqual([1, 3, 2, 4]);
  });
});

it("differentiates", () => {
  tidy(() => {
    const x = tensor([1, 2, 3], [3]);
    x.requiresGrad = true;
    x.mul(x).sum().backward();
    expect(x.grad?.toArray()).toEqual([2, 4, 6]);
    x.grad = null;
    expect(x.grad).toBeNull();
    const [g] = gradients([x.exp().sum()], [x]);
    expect(g!.toArray()[0]).toBeCloseTo(Math.E, 5);
    expect(noGrad(() => x.mul(2).requiresGrad)).toBe(false);
    expect(isRecording()).toBe(true);
  });
});

it("frees everything made in a scope except the result and what is kept", () => {
  const before = liveTensors();
  let inner: Tensor | undefined;
  let held: Tensor | undefined;
  const out = tidy(() => {
    inner = full([2], 1);
    held = full([2], 2).keep();
    return { sum: [inner.add(held)] };
  });
  expect(liveTensors()).toBe(before + 2);
  expect(inner!.isLive).toBe(false);
  expect(out.sum[0]!.toArray()).toEqual([3, 3]);
  out.sum[0]!.dispose();
  held!.dispose();
  expect(liveTensors()).toBe(before);
});

it("hands a result to the enclosing scope", () => {
  const before = liveTensors();
  tidy(() => {
    const value = tidy(() => full([1], 3).mul(2));
    expect(value.item()).toBe(6);
  });
  expect(liveTensors()).toBe(before);
});

it("frees a scope that throws, and refuses an asynchronous one", () => {
  const before = liveTensors();
  expect(() =>
    tidy(() => {
      full([4], 0);
      throw new Error("stop");
    }),
  ).toThrow("stop");
  expect(() => tidy((async () => full([4], 0)) as unknown as () => number)).toThrow(/asynchronous/);
  expect(liveTensors()).toBe(before);
});

it("names the operator and the shapes in an error", () => {
  tidy(() => {
    expect(() => full([2, 3], 1).matmul(full([2, 3], 1))).toThrow(
      /aten::matmul\(float32\[2, 3\], float32\[2, 3\]\): .*mat1 and mat2 shapes cannot be multiplied/,
    );
    expect(() => full([2, 3], 1).add("x" as unknown as number)).toThrow(TensorError);
  });
});

it("turns wrong handles, kinds and released tensors into errors, never a crash", () => {
  tidy(() => {
    const gone = full([1], 1);
    gone.dispose();
    gone.dispose();
    expect(() => gone.add(1)).toThrow(/released tensor/);
    expect(String(gone)).toBe("released tensor");
    const live = full([1], 1);
    guarded((engine) => {
      const add = engine.lookup("aten::add", "Tensor");
      for (const junk of [
        undefined,
        null,
        "a",
        {},
        [],
        1e300,
        -1,
        Number.NaN,
        2 ** 31,
        Symbol("s"),
        10n,
        () => 1,
      ]) {
        expect(() => engine.call(add, live.handle, junk)).toThrow();
        if (typeof junk !== "bigint")
          expect(() => engine.call(junk as number, live.handle, live.handle)).toThrow();
        expect(() => engine.item(junk as number)).toThrow();
        if (!Array.isArray(junk)) expect(() => engine.endScope(junk as never)).toThrow();
      }
      expect(() => engine.mappedTensor({} as never, 0, "float32", [1])).toThrow(/mapFile/);
      expect(() => engine.releasePages({} as never, 0, 1)).toThrow(/mapFile/);
      const mapping = engine.mapFile(fileURLToPath(import.meta.url));
      expect(() => engine.releasePages(mapping, 0, 2 ** 40)).toThrow(/bytes 0 to 1099511627776 of a file of/);
      expect(() => engine.releasePages(mapping, 8, 4)).toThrow(/bytes 8 to 4/);
      expect(() => engine.releasePages(mapping, -1, 4)).toThrow(/bytes -1 to 4/);
      expect(() => engine.fromBytes(new Float32Array(3), "float32", [2])).toThrow(/8 bytes, found 12/);
      expect(() => engine.fromBytes(new Float32Array(1), "float32", [-1])).toThrow(/negative/);
      expect(() => engine.fromBytes(new Float32Array(1), "float32", [2 ** 40, 2 ** 40])).toThrow(/too large/);
      expect(() => engine.fromBytes(new Float32Array(1), "int7" as never, [1])).toThrow(
        /unknown dtype "int7"/,
      );
      expect(() => engine.lookup("aten::no_such", "")).toThrow(/no operator aten::no_such/);
      expect(() => engine.setThreads(0)).toThrow(/1 to 1024/);
    });
    expect(() => live.backward()).toThrow(/depends on nothing that is trained/);
    const trained = full([2], 1);
    trained.requiresGrad = true;
    expect(() => trained.mul(2).backward({ gradient: full([3], 1) })).toThrow(/another shape/);
    expect(() => full([2 ** 40, 2 ** 10], 0)).toThrow(TensorError);
  });
});

it("round-trips every dtype", () => {
  inference(() => {
    for (const dtype of ["float32", "float64", "int64", "int32", "uint8"] as const) {
      expect(tensor([1, 2, 3], [3], dtype).toArray()).toEqual([1, 2, 3]);
      expect(tensor([1, 2, 3], [3], dtype).dtype).toBe(dtype);
    }
    expect(tensor([1, 0.5, -2], [3], "bfloat16").toArray()).toEqual([1, 0.5, -2]);
    expect(tensor([1, 0, 1], [3], "bool").toArray()).toEqual([1, 0, 1]);
  });
});

it("keeps live tensors and memory flat over a thousand training steps", () => {
  const weight = full([64, 64], 0.01).keep();
  weight.requiresGrad = true;
  const before = liveTensors();
  const residents: number[] = [];
  for (let step = 0; step < 1000; step++) {
    tidy(() => {
      const x = full([256, 64], 0.5);
      x.matmul(weight).relu().square().mean().backward();
      noGrad(() => weight.sub_(weight.grad!.mul(0.1)));
      weight.grad = null;
    });
    if (step === 99 || step === 999) residents.push(process.memoryUsage().rss);
  }
  expect(liveTensors()).toBe(before);
  // 900 steps of about half a megabyte of intermediates would show as hundreds of megabytes
  expect(residents[1]! - residents[0]!).toBeLessThan(50e6);
  weight.dispose();
});
