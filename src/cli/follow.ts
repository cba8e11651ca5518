/** Runs one configuration in a training process and shows it; Ctrl+C ends it after the step, a second one at once. */
import type { Config } from "../experiment/config.js";
import type { Loggers } from "../loggers/open.js";
import { type LaunchOptions, launch, type RunningRun, type RunOutcome } from "../runs/launch.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { RunView } from "./terminal.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** A package runner may pass on a Ctrl+C that the terminal has sent already: the same key press twice. */
const SAME_PRESS_MS = 500;

/** Something that goes on and can be ended. */
interface Stoppable {
  stop(): void;
  kill(): void;
}

export type RunListener = NonNullable<LaunchOptions["onEvent"]>;

export interface FollowOptions extends Omit<LaunchOptions, "onEvent"> {
  readonly onLaunch?: (run: RunningRun) => RunListener;
  /** They hear every event too, and are closed at the end. */
  readonly loggers?: Loggers;
}

/** Passes signals on to what runs, until the returned function is called. */
export function stopOnSignals(running: Stoppable, say: (line: string) => void): () => void {
  let firstSignal: number | undefined;
  const interrupt = () => {
    if (firstSignal === undefined) {
      firstSignal = performance.now();
      say("stopping after this step; once more to stop at once");
      running.stop();
    } else if (performance.now() - firstSignal > SAME_PRESS_MS) running.kill();
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  return () => {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  };
}

/** `onLaunch` is told of the run once its process is there; what it returns hears every event as the view does. */
export async function follow(
  config: Config,
  folder: RunFolder,
  view: RunView,
  { onLaunch, loggers, ...options }: FollowOptions = {},
): Promise<RunOutcome> {
  let hear: RunListener | undefined;
  const run = launch(config, folder, {
    ...options,
    onEvent: (event, memory) => {
      view.event(event, memory);
      hear?.(event, memory);
      loggers?.hear(event, Date.now());
    },
  });
  hear = onLaunch?.(run);
  const release = stopOnSignals(run, (line) => view.say(line));
  try {
    const outcome = await run.outcome.finally(release);
    await loggers?.close(outcome.record, Date.now());
    return outcome;
  } finally {
    view.close();
  }
}
