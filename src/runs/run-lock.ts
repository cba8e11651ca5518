/** At most one training process per run folder: a file that names the process, for as long as it lives. */
import { constants, copyFileSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
    // A link appears with all that it says, and only where nothing is: nobody finds a lock that says nothing yet.
    const own = `${file}.${process.pid}`;
    writeFileSync(own, nameOf(process.pid));
    try {
      while (!linked(own, file)) {
        const name = readOrEmpty(file);
        if (isAlive(name)) {
          throw new RunError(`another process, ${Number.parseInt(name, 10)}, is training this run: ${file}`, {
            hint: "wait until it has ended, or stop it (it ends after its step)",
          });
        }
        removeIf(file, name);
      }
      return new RunLock(file);
    } finally {
      rmSync(own, { force: true });
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

/** Whether `to` is what `from` is now; not where there is a `to` already. */
function linked(from: string, to: string, link: (from: string, to: string) => void = linkSync): boolean {
  try {
    link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // File systems without links.
    if (link === linkSync && ["EPERM", "ENOTSUP", "ENOSYS"].includes(code!)) return linked(from, to, copied);
    throw error;
  }
}

const copied = (from: string, to: string): void => copyFileSync(from, to, constants.COPYFILE_EXCL);

/** Removes a lock that says `name`. Whoever is quicker has put a lock of its own there, which stays. */
function removeIf(file: string, name: string): void {
  const aside = `${file}.${process.pid}.aside`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (readOrEmpty(aside) !== name) linked(aside, file);
  rmSync(aside, { force: true });
}

/** "" where there is none, or no longer. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
