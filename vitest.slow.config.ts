import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["test/slow/**/*.test.ts"], pool: "forks", maxWorkers: 1, testTimeout: 3_600_000 },
});
