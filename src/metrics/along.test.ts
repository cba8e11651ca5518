import fc from "fast-check";
import { expect, it } from "vitest";
import type { AdapterDelta } from "../adapters/delta.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { alongStream } from "./along.js";
import { acr } from "./collisions.js";

const [OUTPUTS, INPUTS] = [4, 5];
/** Factors of rank 1 with many exact zeros. */
const factor = fc.constantFrom(0, 0, 0.02, -0.5, 1);
const module = fc.record({
  a: fc.array(factor, { minLength: INPUTS, maxLength: INPUTS }),
  b: fc.array(factor, { minLength: OUTPUTS, maxLength: OUTPUTS }),
});
const stream = fc.array(fc.tuple(module, module), { minLength: 1, maxLength: 6 });

it("agrees with the collision rate of every prefix, and with the union of supports counted one by one", () => {
  fc.assert(
    fc.property(stream, (tasks) => {
      tidy(() => {
        const adapters = tasks.map(
          (modules, task): AdapterDelta => ({
            name: String(task),
            scale: 1,
            modules: new Map(
              modules.map(({ a, b }, m) => [
                `m${m}`,
                { a: tensor(a, [1, INPUTS]), b: tensor(b, [OUTPUTS, 1]) },
              ]),
            ),
          }),
        );
        const before = liveTensors();
        const along = alongStream(adapters);
        expect(liveTensors()).toBe(before);
        tasks.forEach((_, k) => {
          const { abs, relRms, exact } = acr(adapters.slice(0, k + 1));
          const expected = { abs, relRms, exact };
          for (const reading of ["abs", "relRms", "exact"] as const) {
            if (expected[reading] === null) expect(along[k]!.acr[reading]).toBeNull();
            else expect(along[k]!.acr[reading]).toBeCloseTo(expected[reading], 12);
          }
          let used = 0;
          for (const m of [0, 1] as const) {
            for (let row = 0; row < OUTPUTS; row++) {
              for (let column = 0; column < INPUTS; column++) {
                if (tasks.slice(0, k + 1).some((t) => t[m].b[row]! * t[m].a[column]! !== 0)) used++;
              }
            }
          }
          expect(along[k]!.occupied.exact).toBeCloseTo(used / (2 * OUTPUTS * INPUTS), 12);
        });
      });
    }),
    { numRuns: 60 },
  );
});

it("occupies more and more, or as much", () => {
  fc.assert(
    fc.property(stream, (tasks) => {
      const along = tidy(() =>
        alongStream(
          tasks.map(([{ a, b }], task) => ({
            name: String(task),
            scale: 1,
            modules: new Map([["m", { a: tensor(a, [1, INPUTS]), b: tensor(b, [OUTPUTS, 1]) }]]),
          })),
        ),
      );
      for (const reading of ["abs", "relRms", "exact"] as const) {
        along.slice(1).forEach(({ occupied }, k) => {
          expect(occupied[reading]).toBeGreaterThanOrEqual(along[k]!.occupied[reading]);
        });
      }
    }),
    { numRuns: 30 },
  );
});
