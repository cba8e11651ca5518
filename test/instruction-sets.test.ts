/** The fused kernels choose the widest instruction set there is; what other processors run is tested here by asking for less. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { vectorExtensions } from "../src/tensor/engine-report.js";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A narrower set, and the extension of the processor that makes it narrower than what is used without asking. */
const NARROWER = [
  { set: "base", below: "avx2" },
  { set: "avx2", below: "avx512f" },
  { set: "avx512", below: "avx512_bf16" },
  { set: "avx512bf16", below: "amx_bf16" },
];

describe.each(NARROWER)("with NLORA_ISA=$set", ({ set, below }) => {
  it.skipIf(!vectorExtensions().includes(below))(
    `every kernel equals its plain formulation (skipped on processors without ${below})`,
    () => {
      const child = spawnSync(
        process.execPath,
        ["node_modules/vitest/vitest.mjs", "run", "--reporter=json", "src/nn/kernels.test.ts"],
        { cwd: root, encoding: "utf8", env: { ...process.env, NLORA_ISA: set } },
      );
      expect(child.status, child.stdout + child.stderr).toBe(0);
      expect(JSON.parse(child.stdout).numPassedTests).toBeGreaterThan(0);
    },
    120_000,
  );
});
