/** One process at a time: a file that exists while somebody works, touched now and then so that a dead one is told. */
import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HubError } from "../errors.js";
import { fileError } from "../io/files.js";

const TOUCH_MILLISECONDS = 5_000;
/** An owner that has not touched its lock for so long is gone. */
const STALE_MILLISECONDS = 30_000;
const POLL_MILLISECONDS = 200;

/**
 * Runs `action` while holding the lock file; waits for another holder. A lock of a dead process, or one not touched for
 * half a minute, is taken over. Should its owner have slept only, two work at once: that must be harmless.
 */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<T> {
  const mine = `${process.pid} ${hostname()}`;
  mkdirSync(dirname(path), { recursive: true });
  while (!create(path, mine)) {
    signal?.throwIfAborted();
    if (!isStale(path) || !takeAway(path, mine)) await sleep(POLL_MILLISECONDS);
  }
  const touch = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // It was taken over; see above.
    }
  }, TOUCH_MILLISECONDS);
  try {
    return await action();
  } finally {
    clearInterval(touch);
    if (contentOf(path) === mine) rmSync(path, { force: true });
  }
}

function create(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw fileError(error, `cannot create the lock ${path}`, HubError);
  }
}

/** Removes a stale lock. One process at a time, so that nobody removes the lock of who was quicker. */
function takeAway(path: string, mine: string): boolean {
  const claim = `${path}.takeover`;
  if (!create(claim, mine)) {
    if (isStale(claim)) rmSync(claim, { force: true });
    return false;
  }
  try {
    if (isStale(path)) rmSync(path, { force: true });
    return true;
  } finally {
    rmSync(claim, { force: true });
  }
}

function isStale(path: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return false;
  if (Date.now() - status.mtimeMs > STALE_MILLISECONDS) return true;
  const [pid, host] = contentOf(path).split(" ");
  return host === hostname() && pid !== String(process.pid) && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
