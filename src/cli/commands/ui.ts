/** `nlora ui`: the dashboard of the runs below a folder, until it is interrupted. `nlora train --ui`: of one run. */
import { resolve } from "node:path";
import { RunCatalog } from "../../dashboard/catalog.js";
import { RunControl } from "../../dashboard/run-control.js";
import { startDashboard } from "../../dashboard/server.js";
import type { RunningRun } from "../../runs/launch.js";
import { RunFolder } from "../../runs/run-folder.js";
import { isRunFolder } from "../../runs/run-state.js";
import { EXIT, type ExitCode } from "../exit.js";
import { type RunListener, stopOnSignals } from "../follow.js";

export interface UiOptions {
  readonly runs: string;
  readonly host: string;
  readonly port: number;
}

const say = (line: string) => void process.stderr.write(`${line}\n`);

export async function ui({ runs, host, port }: UiOptions): Promise<ExitCode> {
  const catalog = isRunFolder(runs) ? RunCatalog.of(new RunFolder(runs)) : RunCatalog.below(runs);
  const control = new RunControl();
  const server = await startDashboard({ host, port, catalog, control });
  say(`the runs in ${resolve(runs)}: ${server.address}`);
  // Runs that were started here come to the end of their step; a second signal ends them at once.
  let stopped = () => {};
  const ended = new Promise<void>((resolve) => {
    stopped = resolve;
  });
  const release = stopOnSignals(
    { stop: () => void control.stopAll().then(stopped), kill: () => void control.stopAll() },
    (line) => {
      if (control.count > 0) say(line);
    },
  );
  await ended;
  release();
  await server.close();
  return EXIT.done;
}

export interface WatchedRun {
  /** Passed to `follow`. */
  readonly onLaunch: (run: RunningRun) => RunListener;
  /** Tells open pages how the run ended, and stops to listen. */
  close(): Promise<void>;
}

/** A dashboard of one run, before it starts. */
export async function watchRun(folder: RunFolder): Promise<WatchedRun> {
  const control = new RunControl(false);
  const server = await startDashboard({
    host: "127.0.0.1",
    port: 0,
    catalog: RunCatalog.of(folder),
    control,
  });
  say(`dashboard: ${server.address}`);
  return {
    onLaunch: (run) => {
      control.adopt(folder, run, run.outcome);
      return (event, memory) => control.note(folder, event, memory);
    },
    close: () => server.close(),
  };
}
