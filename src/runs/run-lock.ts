/** At most one training process per run folder: a file that names the process, for as long as it lives. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { RunError } from "../errors.js";

/** A process by its number and, where the system tells it, the time of its start: numbers are given out again. */
const nameOf = (pid: number): string => `${pid} ${startOf(pid)}`;

/** Since when a process runs, in ticks after the system's start; "" where that is not known or it runs no more. */
function startOf(pid: number): string {
  try {
    // The second field, the program's name in brackets, may hold anything; the start is the 20th after it.
    return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ")[19]!;
  } catch {
    return "";
  }
}

function isAlive(name: string): boolean {
  const pid = Number.parseInt(name, 10);
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // A process of somebody else is one.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return nameOf(pid) === name;
}

export class RunLock {
  private constructor(readonly file: string) {}

  /** Throws a RunError while another living process has it. */
  static take(file: string): RunLock {
    for (;;) {
      try {
        writeFileSync(file, nameOf(process.pid), { flag: "wx" });
        return new RunLock(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = RunLock.holder(file);
      if (holder !== null) {
        throw new RunError(`another process, ${holder}, is training this run: ${file}`, {
          hint: "wait until it has ended, or stop it (it ends after its step)",
        });
      }
      rmSync(file, { force: true });
    }
  }

  /** Number of the living process of this machine that has it, or null. */
  static holder(file: string): number | null {
    const name = readOrEmpty(file);
    return isAlive(name) ? Number.parseInt(name, 10) : null;
  }

  [Symbol.dispose](): void {
    rmSync(this.file, { force: true });
  }
}

/** "" where there is none, or no longer. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
