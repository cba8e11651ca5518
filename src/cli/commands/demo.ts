/** `nlora demo`: the bundled model learns the bundled tasks with three methods, and their numbers side by side. */
import { join, relative } from "node:path";
import { resolveConfig } from "../../experiment/config.js";
import type { MethodName } from "../../methods/registry.js";
import type { RunRecord } from "../../runs/record.js";
import { freePath, RunFolder, timestamp } from "../../runs/run-folder.js";
import { EXIT, type ExitCode, errorText, exitCodeOf } from "../exit.js";
import { follow } from "../follow.js";
import { accuracyTable, metricsTable } from "../tables.js";
import { createView } from "../terminal.js";

export interface DemoOptions {
  readonly out?: string;
  readonly quick?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export const DEMO_METHODS: readonly MethodName[] = ["n-lora", "o-lora", "seq-lora"];

const SIZE = { trainRows: 800, testRows: 150, epochs: 4 };
/** For a look at the program, not at the methods. */
const QUICK_SIZE = { trainRows: 60, testRows: 20, epochs: 1 };

/** The configuration of one of the demo's runs: the same for all methods but for the method. */
export function demoConfig(method: MethodName, quick: boolean) {
  const { trainRows, testRows, epochs } = quick ? QUICK_SIZE : SIZE;
  return resolveConfig({
    name: "demo",
    data: { kind: "synthetic", trainRows, testRows },
    // The strength found for the bundled model on held-out training rows (docs/reproduction.md).
    method: method === "n-lora" ? { name: method, lambda: 0.02 } : { name: method },
    maxSourceLength: 128,
    training: { epochs, learningRate: 3e-3 },
    evaluation: { maxNewTokens: 12, base: method === DEMO_METHODS[0] },
  });
}

export async function demo(options: DemoOptions): Promise<ExitCode> {
  const root = options.out ?? freePath(join("runs", `${timestamp(new Date())}-demo`));
  const records: RunRecord[] = [];
  for (const [index, method] of DEMO_METHODS.entries()) {
    const config = demoConfig(method, options.quick ?? false);
    const folder = RunFolder.create(join(root, method), config);
    const view = createView({ ...options, evaluates: config.evaluation.tasks });
    view.say(`run ${index + 1} of ${DEMO_METHODS.length}: ${method}`);
    const outcome = await follow(config, folder, view);
    if (outcome.status === "failed") {
      const error = outcome.error ?? { message: "the run failed" };
      process.stderr.write(errorText(error));
      return exitCodeOf(error);
    }
    if (outcome.status === "interrupted" || outcome.record === null) {
      process.stderr.write(`interrupted; what was written is in ${root}\n`);
      return EXIT.interrupted;
    }
    records.push(outcome.record);
    if (options.json) {
      process.stdout.write(
        `${JSON.stringify({ type: "record", folder: folder.path, record: outcome.record })}\n`,
      );
    }
  }
  if (!options.json) process.stdout.write(demoReport(records, root));
  return EXIT.done;
}

/** Each method's accuracy matrix, then all metrics side by side. */
export function demoReport(records: readonly RunRecord[], root: string): string {
  const matrices = records.map((record) => `${record.method}\n${accuracyTable(record)}`);
  const place = relative(process.cwd(), root) || ".";
  return `\n${[...matrices, metricsTable(records)].join("\n\n")}\n\nrun folder: ${place}\n`;
}
