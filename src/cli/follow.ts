/** Runs one configuration in a training process and shows it; Ctrl+C ends it after the step, a second one at once. */
import type { Config } from "../experiment/config.js";
import { type LaunchOptions, launch, type RunOutcome } from "../runs/launch.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { RunView } from "./terminal.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** A package runner may pass on a Ctrl+C that the terminal has sent already: the same key press twice. */
const SAME_PRESS_MS = 500;

export async function follow(
  config: Config,
  folder: RunFolder,
  view: RunView,
  options: LaunchOptions = {},
): Promise<RunOutcome> {
  const run = launch(config, folder, { ...options, onEvent: (event, memory) => view.event(event, memory) });
  let firstSignal: number | undefined;
  const interrupt = () => {
    if (firstSignal === undefined) {
      firstSignal = performance.now();
      view.say("stopping after this step; once more to stop at once");
      run.stop();
    } else if (performance.now() - firstSignal > SAME_PRESS_MS) run.kill();
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    return await run.outcome;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    view.close();
  }
}
