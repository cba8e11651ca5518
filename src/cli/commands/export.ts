/** `nlora export` and `nlora merge`: adapters and merged models for other programs. */
import { UsageError } from "../../errors.js";
import { resolveConfig } from "../../experiment/config.js";
import type { ExportOptions, ExportReport, ExportStep, Keep } from "../../export/export.js";
import { bytes, significant } from "../../format.js";
import { workerEnvironment } from "../../runs/launch.js";
import { EXIT, type ExitCode } from "../exit.js";

/** Options of both commands as they were typed. */
export interface ExportFlags {
  readonly out: string;
  readonly rank?: string;
  readonly rankError?: string;
  readonly dtype?: string;
  readonly maxShardSize?: string;
  /** A file of prompts; false: --no-probe. */
  readonly probe?: string | false;
  readonly probeDtype?: string;
  readonly tolerance?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export interface ExportCommandFlags extends ExportFlags {
  readonly format: string;
  readonly task?: string;
  readonly delta?: boolean;
  readonly base?: string;
}

export async function exportAdapters(
  paths: readonly string[],
  { format, task, delta, base, ...flags }: ExportCommandFlags,
): Promise<ExitCode> {
  const { FORMATS } = await engine();
  return run(paths, base ?? null, flags, {
    format: oneOf("--format", format, FORMATS),
    task: task ?? null,
    delta: delta ?? false,
  });
}

export async function merge(
  base: string,
  adapters: readonly string[],
  flags: ExportFlags,
): Promise<ExitCode> {
  return run(adapters, base, flags, { format: "hf" });
}

/** Loads the engine as a run would have it. */
async function engine() {
  Object.assign(process.env, workerEnvironment(resolveConfig({}), process.env));
  return import("../../export/export.js");
}

async function run(
  paths: readonly string[],
  base: string | null,
  flags: ExportFlags,
  what: Pick<ExportOptions, "format" | "task" | "delta">,
): Promise<ExitCode> {
  const { exporting, findBase, MAX_SHARD_BYTES, TOLERANCE } = await engine();
  const options: ExportOptions = {
    ...what,
    out: flags.out,
    base: await findBase(paths, base),
    dtype:
      flags.dtype === undefined ? null : oneOf("--dtype", flags.dtype, ["float32", "bfloat16", "float16"]),
    keep: keepOf(flags),
    prompts: what.format === "hf" || keepOf(flags) ? await promptsOf(flags.probe) : null,
    probeDtype: oneOf("--probe-dtype", flags.probeDtype ?? "float32", ["float32", "bfloat16"]),
    tolerance: flags.tolerance === undefined ? TOLERANCE : toleranceOf(flags.tolerance),
    force: flags.force ?? false,
    maxShardBytes: flags.maxShardSize === undefined ? MAX_SHARD_BYTES : sizeOf(flags.maxShardSize),
  };
  const report = await finished(exporting(paths, options));
  if (report === null) {
    process.stderr.write(`interrupted; nothing was left in ${flags.out}\n`);
    return EXIT.interrupted;
  }
  for (const note of report.notes) process.stderr.write(`note: ${note}\n`);
  process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  return EXIT.done;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Takes the steps one by one and shows them; null after a signal. */
async function finished(steps: Generator<ExportStep, ExportReport>): Promise<ExportReport | null> {
  const { setImmediate: turn } = await import("node:timers/promises");
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  const line = progressLine();
  try {
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value;
      line.show(step.value);
      await turn();
      if (stopped) return null;
    }
  } finally {
    steps.return(undefined as never);
    line.clear();
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}

/** One passing line on a terminal; nothing elsewhere. */
function progressLine() {
  const { stderr } = process;
  const isLive = stderr.isTTY === true && process.env.TERM !== "dumb" && !process.env.CI;
  return {
    show(step: ExportStep): void {
      if (!isLive) return;
      const text =
        step.type === "probing" ? "comparing logits" : `written ${bytes(step.done)} of ${bytes(step.total)}`;
      stderr.write(`\r${text}\u001b[K`);
    },
    clear(): void {
      if (isLive) stderr.write("\r\u001b[K");
    },
  };
}

function reportText({
  out,
  format,
  provenance,
  rank,
  modules,
  positions,
  merged,
  probe,
  consolidated,
}: ExportReport): string {
  const { holds, tasks, includes } = provenance;
  const all = [...includes.map((each) => each.split(" ")[0]!), ...tasks].join(", ");
  const lines: (readonly [string, string])[] = [
    positions !== null
      ? ["prompt", `${positions} positions, learned on ${all}`]
      : ["holds", holds === "delta" ? `the update of the task ${all}` : `the sum of the updates of ${all}`],
    ...(positions === null ? [["adapter", `rank ${rank}, ${modules} modules`] as const] : []),
  ];
  if (consolidated) {
    const { error, norm } = consolidated;
    lines.push(["lost to the rank", `${significant(norm === 0 ? 0 : (100 * error) / norm)} % of the norm`]);
  }
  if (merged) {
    const share = merged.updated === 0 ? 0 : (100 * merged.unchanged) / merged.updated;
    lines.push(
      ["weights", `${bytes(merged.bytes)}, ${merged.adapted} of ${merged.tensors} tensors changed`],
      ["lost to rounding", `${significant(share)} % of the updated weights are as they were`],
    );
  }
  if (probe) {
    lines.push(
      [
        "largest logit difference",
        `${significant(probe.difference)} on ${probe.positions} tokens of ${probe.prompts} prompts`,
      ],
      ["largest effect of the adapters", significant(probe.effect)],
      ["other likeliest token", `${probe.changedChoices} of ${probe.positions}`],
    );
    if (probe.accuracy) {
      const { rows, separate, merged } = probe.accuracy;
      lines.push(["right answers", `${significant(merged)} % of ${rows}, ${significant(separate)} % before`]);
    }
  } else if (merged) lines.push(["logits", "not compared (--no-probe)"]);
  lines.push([format, out]);
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}

async function promptsOf(
  probe: string | false | undefined,
): Promise<NonNullable<ExportOptions["prompts"]> | null> {
  if (probe === false) return null;
  if (probe === undefined) {
    return (await import("../../export/probe-prompts.js")).PROBE_PROMPTS.map((text) => ({ text }));
  }
  return (await import("../../export/probe.js")).readPrompts(probe);
}

function oneOf<const Word extends string>(flag: string, value: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw new UsageError(`${flag}: expected one of ${words.join(", ")}, found "${value}"`);
}

function keepOf({ rank, rankError }: ExportFlags): Keep | null {
  if (rank !== undefined && rankError !== undefined) {
    throw new UsageError("--rank and --rank-error exclude each other");
  }
  if (rank !== undefined) {
    if (/^[1-9]\d*$/.test(rank)) return { rank: Number(rank) };
    throw new UsageError(`--rank: expected a whole number of at least 1, found "${rank}"`);
  }
  if (rankError === undefined) return null;
  const error = Number(rankError);
  if (rankError.trim() !== "" && error >= 0 && error < 1) return { error };
  throw new UsageError(`--rank-error: expected a number from 0 to below 1, found "${rankError}"`);
}

function toleranceOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0) return value;
  throw new UsageError(`--tolerance: expected a number of at least 0, found "${text}"`);
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** 5GB, 500MB, 2GiB, or bytes. */
function sizeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*((?:[kmg]i?b)?)$/i.exec(text.trim());
  const size = match ? Math.floor(Number(match[1]) * UNITS[match[2]!.toLowerCase()]!) : 0;
  if (size >= 1) return size;
  throw new UsageError(`--max-shard-size: expected a size like 5GB, 500MB or 2GiB, found "${text}"`);
}
