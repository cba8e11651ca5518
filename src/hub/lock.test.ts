import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, it } from "vitest";
import { withLock } from "./lock.js";

const root = mkdtempSync(join(tmpdir(), "nlora-lock-"));
afterAll(() => rmSync(root, { recursive: true }));
const path = join(root, "locks/a.lock");

it("lets one in at a time and leaves nothing", async () => {
  let inside = 0;
  const visit = () =>
    withLock(path, undefined, async () => {
      expect(++inside).toBe(1);
      await sleep(5);
      inside--;
    });
  await Promise.all([visit(), visit(), visit()]);
  await expect(
    withLock(path, undefined, async () => {
      throw new Error("broken");
    }),
  ).rejects.toThrow("broken");
  expect(readdirSync(join(root, "locks"))).toEqual([]);
});

it("takes over the lock of a dead process, and one that nobody has touched for long", async () => {
  writeFileSync(path, `${2 ** 22 + 1} ${hostname()}`);
  expect(await withLock(path, undefined, async () => "in")).toBe("in");
  writeFileSync(path, "1 another-host");
  const old = new Date(Date.now() - 40_000);
  utimesSync(path, old, old);
  writeFileSync(`${path}.takeover`, "1 another-host"); // Somebody died while taking over.
  utimesSync(`${path}.takeover`, old, old);
  expect(await withLock(path, undefined, async () => "in")).toBe("in");
  expect(readdirSync(join(root, "locks"))).toEqual([]);
});

it("waits for a living holder until the caller gives up", async () => {
  writeFileSync(path, "1 another-host");
  const controller = new AbortController();
  const waiting = withLock(path, controller.signal, async () => "in");
  setTimeout(() => controller.abort(new Error("enough")), 10);
  await expect(waiting).rejects.toThrow("enough");
  expect(existsSync(path)).toBe(true);
});
