/** The runs that this process trains: started, stopped and gone on with, each in a process of its own. */
import type { Config } from "../experiment/config.js";
import type { RunEvent } from "../learn/events.js";
import { launch, type RunningRun } from "../runs/launch.js";
import { defaultRunPath, RunFolder } from "../runs/run-folder.js";
import type { Liveness } from "./run-view.js";

interface Active {
  readonly run: Pick<RunningRun, "stop" | "kill">;
  readonly ended: Promise<unknown>;
  /** False until the run says that it has started (again). */
  hasStarted: boolean;
  memory: number;
  isStopping: boolean;
}

export class RunControl {
  /** Whether runs can be resumed from here; not where the process ends with the one it trains. */
  readonly canResume: boolean;
  readonly #active = new Map<string, Active>();

  constructor(canResume = true) {
    this.canResume = canResume;
  }

  /** Starts a new run in a folder of its own below `root`. Throws a RunError if that cannot be made. */
  start(config: Config, root: string): RunFolder {
    const folder = RunFolder.create(defaultRunPath(config, new Date(), root), config);
    this.#launch(config, folder, false);
    return folder;
  }

  /** Goes on with a run at its first task that is not finished. Throws a RunError if its configuration cannot be read. */
  resume(folder: RunFolder): void {
    this.#launch(folder.readConfig(), folder, true);
  }

  /** Takes care of a run that somebody else in this process has started. */
  adopt(folder: RunFolder, run: Pick<RunningRun, "stop" | "kill">, ended: Promise<unknown>): void {
    const active: Active = { run, ended, hasStarted: false, memory: 0, isStopping: false };
    this.#active.set(folder.path, active);
    const forget = () => void this.#active.delete(folder.path);
    ended.then(forget, forget);
  }

  /** Hears what a run says, and how much memory its process has. */
  note(folder: RunFolder, event: RunEvent, memory: number): void {
    const active = this.#active.get(folder.path);
    if (!active) return;
    active.hasStarted ||= event.type === "run-start";
    if (memory > 0) active.memory = memory;
  }

  /**
   * Ends a run after its step, or at once if it was asked to before and this process trains it; false if no process that
   * could be asked trains it.
   */
  stop(folder: RunFolder): boolean {
    const active = this.#active.get(folder.path);
    if (!active) {
      if (!folder.isTrained) return false;
      folder.requestStop();
      return true;
    }
    if (active.isStopping) active.run.kill();
    else active.run.stop();
    active.isStopping = true;
    return true;
  }

  of(folder: RunFolder): Liveness {
    const active = this.#active.get(folder.path);
    return {
      isHere: active !== undefined,
      isElsewhere: active === undefined && folder.isTrained,
      isStarting: active?.hasStarted === false,
      memory: active?.memory ?? 0,
      canResume: this.canResume,
    };
  }

  get count(): number {
    return this.#active.size;
  }

  /** Stops all and waits for them. Called again, it ends them at once. */
  async stopAll(): Promise<void> {
    for (const active of this.#active.values()) {
      if (active.isStopping) active.run.kill();
      else active.run.stop();
      active.isStopping = true;
    }
    await Promise.allSettled([...this.#active.values()].map(({ ended }) => ended));
  }

  #launch(config: Config, folder: RunFolder, resume: boolean): void {
    const run = launch(config, folder, {
      resume,
      onEvent: (event, memory) => this.note(folder, event, memory),
    });
    this.adopt(folder, run, run.outcome);
  }
}
