/** Measurements that a process of its own makes: nothing that ran before is in its memory or its caches. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../tensor/native.js";

/** What the program of this folder answers on its standard output, as JSON. Throws where it fails. */
export function measureApart<Answer>(program: string, threads: number, args: readonly string[]): Answer {
  const subject = join(packageRoot, "dist/bench", program);
  const { status, stdout } = spawnSync(process.execPath, [subject, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, OMP_NUM_THREADS: String(threads) },
  });
  if (status !== 0)
    throw new Error(`measuring ${args.slice(0, 2).join(" ")} failed: ${program} ended with ${status}`);
  return JSON.parse(stdout) as Answer;
}

/** The middle of the values, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
