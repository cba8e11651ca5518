/** The compiled command line as a process, and a stream of three tiny tasks for it. Needs `npm run build`. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { packageRoot } from "../../src/tensor/native.js";

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `nlora ...args` in `folder` on one thread. `onLine` sees each line of stdout and may signal the process. */
export async function nlora(
  folder: string,
  args: readonly string[],
  onLine: (line: string, signal: (name: NodeJS.Signals) => void) => void = () => {},
): Promise<Finished> {
  const env = { ...process.env, OMP_NUM_THREADS: "1", NO_COLOR: "1", FORCE_COLOR: undefined };
  const child = spawn(process.execPath, [join(packageRoot, "dist/cli/main.js"), ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  let stdout = "";
  for await (const line of createInterface({ input: child.stdout })) {
    stdout += `${line}\n`;
    onLine(line, (name) => child.kill(name));
  }
  return { status: await closed, stdout, stderr };
}

export const TASKS: Readonly<Record<string, { question: string; labels: readonly string[] }>> = {
  colour: { question: "What colour is the", labels: ["red", "blue"] },
  size: { question: "How large is the", labels: ["small", "large", "huge"] },
  mood: { question: "How does it feel, the", labels: ["glad", "sad"] },
};

/** Writes <task>.train.jsonl (16 rows) and <task>.test.jsonl (6 rows) for every task. */
export function writeTasks(folder: string): void {
  const things = ["barn", "sea", "fox", "moon", "door"];
  for (const [name, { question, labels }] of Object.entries(TASKS)) {
    for (const [split, rows] of [
      ["train", 16],
      ["test", 6],
    ] as const) {
      const lines = Array.from({ length: rows }, (_, i) =>
        JSON.stringify({
          input: `${question} ${things[i % 5]} of the ${split} number ${i}?`,
          output: labels[i % labels.length],
        }),
      );
      writeFileSync(join(folder, `${name}.${split}.jsonl`), lines.map((line) => `${line}\n`).join(""));
    }
  }
}

/** A configuration of a few steps on these tasks. */
export const tinyConfig = {
  name: "tiny",
  seed: 7,
  dtype: "float32",
  threads: 1,
  data: {
    kind: "jsonl",
    tasks: Object.entries(TASKS).map(([name, { labels }]) => ({
      name,
      train: `${name}.train.jsonl`,
      test: `${name}.test.jsonl`,
      labels,
    })),
  },
  lora: { rank: 2, alpha: 4 },
  method: { name: "n-lora" },
  // 2, 6 and 8 steps: a run that is interrupted after its first task has the longer part before it.
  training: { batchSize: 8, epochs: [1, 3, 6], maxSteps: 8 },
  evaluation: { maxNewTokens: 4 },
};

export function writeConfig(folder: string, name: string, config: object = tinyConfig): string {
  writeFileSync(join(folder, name), stringify(config));
  return name;
}
