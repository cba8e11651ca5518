/**
 * `npm run bench -- --part dashboard`: training with no dashboard, with one whose stream is read, and with one whose page is
 * open in a browser (where one is installed), in turn during one and the same run.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { RunCatalog } from "../dashboard/catalog.js";
import { RunControl } from "../dashboard/run-control.js";
import { startDashboard } from "../dashboard/server.js";
import { resolveConfig } from "../experiment/config.js";
import { launch } from "../runs/launch.js";
import { RunFolder } from "../runs/run-folder.js";
import { median } from "./apart.js";
import { findBrowser, openBrowser } from "./browser.js";

const PHASE_MILLISECONDS = 10_000;
/** After a change of what is open, before it is measured. */
const SETTLE_MILLISECONDS = 1500;

interface Arm {
  readonly name: string;
  /** Opens what is measured; returns how to close it. */
  readonly open: (folder: RunFolder) => Promise<() => Promise<void>>;
  readonly rounds: Measured[];
}

/** Medians and means of one phase. Processor time tells what was spent, however busy the machine is with other things. */
interface Measured {
  /** Milliseconds from step to step. */
  readonly step: number;
  /** Milliseconds of processor time of the training process per step. */
  readonly training: number;
  /** Shares of one core. */
  readonly server: number;
  readonly browser: number;
}

async function serve(folder: RunFolder) {
  const catalog = RunCatalog.of(folder);
  const server = await startDashboard({
    host: "127.0.0.1",
    port: 0,
    catalog,
    control: new RunControl(false),
  });
  return { server, run: `/runs/${catalog.only!.id}` };
}

/** Reads the stream as a page does, and drops it. */
async function openStream(folder: RunFolder): Promise<() => Promise<void>> {
  const { server, run } = await serve(folder);
  const { origin, port, searchParams } = new URL(server.address);
  const headers = { cookie: `nlora-${port}=${searchParams.get("token")}` };
  const response = await fetch(`${origin}/api${run}/events`, { headers });
  const reader = response.body!.getReader();
  const reading = (async () => {
    while (!(await reader.read()).done);
  })();
  return async () => {
    await server.close();
    await reading;
  };
}

async function pageArm(): Promise<Arm | null> {
  const program = findBrowser();
  if (program === null) return null;
  const open = async (folder: RunFolder) => {
    const { server } = await serve(folder);
    const browser = await openBrowser(program);
    const page = await browser.newPage();
    await page.goto(server.address);
    return async () => {
      await browser.close();
      await server.close();
    };
  };
  return { name: "a page in chromium", open, rounds: [] };
}

/** Processor time of a process and those it started, in milliseconds (Linux: /proc counts in hundredths of a second). */
function processorTime(pid: number): number {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return 0; // It has ended.
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12])) + sum(childrenOf(pid).map(processorTime));
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text
      .split(" ")
      .filter((word) => word !== "")
      .map(Number);
  } catch {
    return [];
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export async function measureDashboard(threads: number, rounds: number): Promise<void> {
  const none: Arm = { name: "no dashboard", open: async () => async () => {}, rounds: [] };
  const page = await pageArm();
  const arms: Arm[] = [
    none,
    { name: "its stream read", open: openStream, rounds: [] },
    ...(page ? [page] : []),
  ];
  const root = mkdtempSync(join(tmpdir(), "nlora-bench-"));
  const config = resolveConfig({
    threads,
    data: { kind: "synthetic", trainRows: 20_000 },
    training: { epochs: 100, batchSize: 8 },
    evaluation: { base: false },
  });
  const folder = RunFolder.create(join(root, "run"), config);
  const arrivals: number[] = [];
  const run = launch(config, folder, {
    onEvent: (event) => {
      if (event.type === "step") arrivals.push(performance.now());
    },
  });
  const [training = 0] = childrenOf(process.pid);
  const spent = () => ({
    training: processorTime(training),
    others: sum(
      childrenOf(process.pid)
        .filter((pid) => pid !== training)
        .map(processorTime),
    ),
    own: process.cpuUsage(),
  });
  try {
    while (arrivals.length < 5) await pause(100);
    for (let round = 0; round < rounds; round++) {
      // Another order every round, so that what drifts falls on all alike.
      for (const arm of arms.map((_, index) => arms[(index + round) % arms.length]!)) {
        const close = await arm.open(folder);
        await pause(SETTLE_MILLISECONDS);
        const first = arrivals.length;
        const before = spent();
        await pause(PHASE_MILLISECONDS);
        const times = arrivals.slice(first);
        const after = spent();
        const own = process.cpuUsage(before.own);
        arm.rounds.push({
          step: median(times.slice(1).map((time, index) => time - times[index]!)),
          training: (after.training - before.training) / times.length,
          server: (own.user + own.system) / 1000 / PHASE_MILLISECONDS,
          browser: (after.others - before.others) / PHASE_MILLISECONDS,
        });
        await close();
      }
    }
  } finally {
    run.kill();
    await run.outcome;
    rmSync(root, { recursive: true, force: true });
  }
  console.log(`${rounds} rounds of ${PHASE_MILLISECONDS / 1000} s each, ${threads} threads, medians:`);
  console.log(
    "  what is open          step ms  against none  training's processor ms a step  against none  server, of a core  browser, of a core",
  );
  for (const arm of arms) {
    const value = (name: keyof Measured) => median(arm.rounds.map((each) => each[name]));
    // Against the same round's: the machine's speed drifts between rounds.
    const against = (name: keyof Measured) =>
      percent(median(arm.rounds.map((each, round) => each[name] / none.rounds[round]![name])) - 1, 1);
    console.log(
      `  ${arm.name.padEnd(20)} ${value("step").toFixed(1).padStart(8)}  ${against("step").padStart(12)}  ` +
        `${value("training").toFixed(1).padStart(30)}  ${against("training").padStart(12)}  ` +
        `${percent(value("server"), 2).padStart(16)}  ${percent(value("browser"), 2).padStart(17)}`,
    );
  }
}

const percent = (share: number, decimals: number): string => `${(100 * share).toFixed(decimals)} %`;
