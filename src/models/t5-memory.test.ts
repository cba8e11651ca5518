/** Both ways of attending to a memory, with low-rank additions on keys and values and with their dropout. */
import { expect, it } from "vitest";
import { type ForwardContext, trainingContext } from "../nn/context.js";
import { Linear, LinearGroup } from "../nn/linear.js";
import { Rng } from "../random.js";
import { ones, randn } from "../tensor/functions.gen.js";
import { manualSeed } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import { DecoderMemory } from "./t5-memory.js";

it("gives equal values and gradients, whether keys and values are projected or not", () => {
  const [batch, source, targets, width, heads, inner] = [2, 9, 2, 12, 3, 6];
  manualSeed(3);
  const measure = (expected: number) =>
    tidy(() => {
      manualSeed(3);
      const trained: ReturnType<typeof randn>[] = [];
      const members = Array.from({ length: 4 }, (_, i) => {
        const member = new Linear(`layer.${i}`, randn([inner, width]).keep());
        member.additions = Array.from({ length: i }, (_, rank) => ({
          a: randn([rank + 1, width]).keep(),
          b: randn([inner, rank + 1]).keep(),
          scale: 0.5,
        }));
        member.additionDropout = 0.25;
        for (const { a, b } of member.additions) trained.push(a, b);
        return member;
      });
      const group = new LinearGroup(members);
      const memory = randn([batch, source, width]).keep();
      const query = randn([batch, targets, inner]).keep();
      trained.push(memory, query);
      for (const each of trained) each.requiresGrad = true;
      const context: ForwardContext = trainingContext(new Rng(5));
      const attends = new DecoderMemory(group, heads).attend(
        memory,
        ones([batch, source]).toDtype("bool"),
        expected,
        context,
      );
      const mixed = attends.map((attend, layer) => attend(query, 0.1, layer));
      expect(mixed).toHaveLength(2);
      mixed[0]!.mul(mixed[1]!).sum().backward();
      const values = [...mixed, ...trained.map((each) => each.grad!)].map((each) => each.toArray());
      for (const each of trained) each.dispose();
      group.dispose();
      return values;
    });
  const [over, projected] = [measure(1), measure(1000)];
  for (const [i, values] of over.entries()) {
    for (const [j, value] of values.entries()) {
      const other = projected[i]![j]!;
      expect(Math.abs(value - other)).toBeLessThan(1e-3 * (1 + Math.abs(other)));
    }
  }
});
