/** The dashboard in a real browser: runs started, watched, compared, stopped and resumed through its pages. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { findBrowser, openBrowser } from "../../src/bench/browser.js";
import { packageRoot } from "../../src/tensor/native.js";
import { nlora, TASKS, tinyConfig, writeConfig, writeTasks } from "../support/command-line.js";
import {
  accuracyEvent,
  startEvent,
  stepEvent,
  taskEvent,
  writeFinishedRun,
  writeRun,
} from "../support/dashboard.js";

const program = findBrowser();
if (program === null)
  console.log("no chromium in PATH and no NLORA_CHROMIUM: the dashboard's browser tests are skipped");

const HOSTILE = `<script>window.hacked = 1</script><img src="http://evil.example/x.png" onerror="window.hacked = 1">`;

/** A command that prints the address of its dashboard. */
interface Started {
  readonly child: ChildProcess;
  readonly address: string;
  readonly ended: Promise<number | null>;
  stderr(): string;
}

async function start(folder: string, args: readonly string[]): Promise<Started> {
  const env = { ...process.env, OMP_NUM_THREADS: "1", NO_COLOR: "1", FORCE_COLOR: undefined };
  const child = spawn(process.execPath, [join(packageRoot, "dist/cli/main.js"), ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let text = "";
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr!.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const found = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec(text);
      if (found) resolve(found[0]);
    });
    void ended.then((status) => reject(new Error(`ended with ${status}: ${text}`)));
  });
  return { child, address, ended, stderr: () => text };
}

describe.skipIf(program === null)("the dashboard in a browser", () => {
  const root = mkdtempSync(join(tmpdir(), "nlora-browser-"));
  let browser: Browser;
  let ui: Started;
  let context: BrowserContext;
  const requested: string[] = [];
  const complaints: string[] = [];

  async function open(address: string, options = {}): Promise<{ context: BrowserContext; page: Page }> {
    const opened = await browser.newContext(options);
    opened.on("request", (request) => requested.push(request.url()));
    const page = await opened.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !/ERR_|status of 401/.test(message.text()))
        complaints.push(message.text());
    });
    await page.goto(address);
    return { context: opened, page };
  }

  beforeAll(async () => {
    writeTasks(root);
    const rows = readFileSync(join(root, "colour.test.jsonl"), "utf8");
    writeFileSync(
      join(root, "colour.test.jsonl"),
      `${rows}${JSON.stringify({ input: `What colour is ${HOSTILE}?`, output: "red" })}\n`,
    );
    mkdirSync(join(root, "runs"));
    writeFinishedRun(join(root, "runs", "earlier"));
    browser = await openBrowser(program!);
    ui = await start(root, ["ui", "--runs", "runs"]);
    ({ context } = await open(ui.address));
  });
  afterAll(async () => {
    await browser?.close();
    ui?.child.kill("SIGINT");
    await ui?.ended;
    rmSync(root, { recursive: true, force: true });
  });

  const addressOf = (path: string): string => new URL(path, ui.address).href;
  const pageAt = async (path: string): Promise<Page> => {
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(addressOf(path));
    return page;
  };

  it("takes the token out of the address, and shows nothing without it", async () => {
    const { page, context: own } = await open(ui.address);
    expect(page.url()).toBe(addressOf("/"));
    expect(await page.evaluate("document.cookie")).toBe("");
    await page.getByRole("link", { name: "earlier" }).waitFor();
    await own.close();
    const { page: stranger, context: other } = await open(addressOf("/"));
    expect(await stranger.textContent("body")).toContain("open the address that nlora printed");
    await other.close();
  });

  it("starts a run from the form, stops and resumes it, fills the matrix, and shows answers as text", async () => {
    const page = await pageAt("/new");
    await page.locator("#check", { hasText: "ready" }).waitFor();
    await page.getByLabel("kind").first().selectOption("files");
    const tasks = Object.entries(TASKS).map(([name, { labels }]) => ({
      name,
      train: join(root, `${name}.train.jsonl`),
      test: join(root, `${name}.test.jsonl`),
      labels,
    }));
    await page.locator("[name='data.tasks']").fill(stringify(tasks));
    await page.locator("[name='name']").fill("page");
    await page.locator("[name='training.batchSize']").fill("0");
    const wrong = page.locator("[id='field-training.batchSize-error']");
    await wrong.filter({ hasText: "found 0" }).waitFor();
    expect(await page.locator("#start").isDisabled()).toBe(true);
    expect(await page.locator("[name='training.batchSize']").getAttribute("aria-invalid")).toBe("true");
    await page.locator("[name='training.batchSize']").fill("16");
    // Three tasks of 50 steps: long enough to be stopped on a fast machine.
    await page.locator("[name='training.epochs']").fill("50");
    await page.locator("[name='threads']").fill("1");
    await page.getByText("lora", { exact: true }).click();
    await page.locator("[name='lora.rank']").fill("2");
    await page.getByText("evaluation", { exact: true }).click();
    await page.locator("[name='evaluation.maxNewTokens']").fill("3");
    await page.locator("[name='evaluation.base']").uncheck();
    await page.locator("#check", { hasText: "ready" }).waitFor();
    expect(await page.locator("#yaml").textContent()).toContain("epochs: 50");

    await page.locator("#start").click();
    await page.waitForURL(/\/runs\/[0-9a-f]{16}$/);
    await page.locator(".activity", { hasText: /step [1-9]/ }).waitFor({ timeout: 60_000 });
    await page.locator("#stop").click();
    await page.locator(".badge.stopped").waitFor({ timeout: 60_000 });
    await page.locator("#resume").click();
    await page.locator(".badge.running").waitFor({ timeout: 60_000 });
    await page.locator("dd", { hasText: "MiB" }).waitFor({ timeout: 60_000 });
    await page.locator(".badge.finished").waitFor({ timeout: 110_000 });
    const values = await page.locator(".matrix tbody td.number").allTextContents();
    expect(values).toHaveLength(3 * 3 + 3);
    expect(values.filter((value) => !/^\d+\.\d$/.test(value))).toEqual([]);
    // A curve was drawn: the canvas has something on it.
    await drawn(page);

    await page.locator(".matrix td a").first().click();
    await page.waitForURL(/predictions/);
    await page.locator("#search").fill("HACKED");
    await page.locator("#found", { hasText: "1 of 7 answers" }).waitFor();
    expect(await page.locator("td.text").first().textContent()).toContain(HOSTILE);
    expect(await page.locator("#main img, #main script").count()).toBe(0);
    expect(await page.evaluate("window.hacked")).toBeUndefined();
    await page.locator("#search").fill("");
    await page.locator("#found", { hasText: "7 of 7 answers" }).waitFor();
    await page.getByRole("button", { name: "Wrong" }).click();
    await page.waitForURL(/outcome=wrong/);
    await page.locator("[aria-pressed='true']", { hasText: "Wrong" }).waitFor();
    expect(await page.locator("tr.right").count()).toBe(0);
    await page.close();
  }, 240_000);

  it("compares runs that were chosen in the list, which the keyboard alone can do", async () => {
    const page = await pageAt("/");
    await page.getByRole("link", { name: "earlier" }).waitFor();
    const focused = () =>
      page.evaluate(
        "document.activeElement.textContent || document.activeElement.getAttribute('aria-label') || document.activeElement.id",
      );
    const order: unknown[] = [];
    for (let tabs = 0; tabs < 5; tabs++) {
      await page.keyboard.press("Tab");
      order.push(await focused());
    }
    expect(order).toEqual(["Skip to the content", "nlora", "Runs", "New run", "filter"]);
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    for (let tabs = 0; tabs < 12; tabs++) {
      await page.keyboard.press("Tab");
      const label = await page.evaluate("document.activeElement.type ?? ''");
      if (label === "checkbox") await page.keyboard.press("Space");
    }
    await page.locator("#compare[href]", { hasText: "Compare 2 runs" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/compare\?runs=/);
    const metrics = page.locator(".metrics tr", { hasText: "AA (average accuracy, %)" });
    await metrics.waitFor();
    expect((await metrics.locator("td").allTextContents()).filter((value) => /^\d/.test(value))).toHaveLength(
      2,
    );
    await page.locator(".chart canvas").nth(1).waitFor();
    await drawn(page);
    await page.close();
  });

  it("goes on comparing a run that goes on", async () => {
    const started = [startEvent(["first"]), taskEvent("first", 0, 3), stepEvent("first", 0, 1, 2)];
    const folder = writeRun(join(root, "runs", "growing"), started);
    const list = await pageAt("/");
    const ids: string[] = [];
    for (const name of ["earlier", "growing"]) {
      const link = list.getByRole("link", { name });
      ids.push((await link.getAttribute("href"))!.split("/").at(-1)!);
    }
    await list.close();
    const page = await pageAt(`/compare?runs=${ids.join(",")}`);
    const accuracy = page.locator(".metrics tr", { hasText: "AA (average accuracy, %)" });
    await accuracy.waitFor();
    expect(await accuracy.locator("td").last().textContent()).not.toMatch(/\d/);
    const told = [stepEvent("first", 0, 2, 1), accuracyEvent("first", 0, 0, 62.5)];
    appendFileSync(folder.journalFile, told.map((event) => `${JSON.stringify(event)}\n`).join(""));
    await accuracy.locator("td", { hasText: "62.5" }).waitFor();
    await page.locator(".canvas[aria-label*='growing: from 2.000 to 1.000']").waitFor();
    await page.close();
  });

  it("opens a run of 200,000 steps, and a stretch of it in detail", async () => {
    const folder = writeRun(join(root, "runs", "long"), [
      startEvent(["first"]),
      taskEvent("first", 0, 200_000),
    ]);
    const steps = Array.from({ length: 200_000 }, (_, k) =>
      JSON.stringify(stepEvent("first", 0, k + 1, 2 + Math.sin(k))),
    );
    appendFileSync(folder.journalFile, `${steps.join("\n")}\n`);
    const list = await pageAt("/");
    await list.getByRole("link", { name: "long" }).waitFor();
    const link = await list.getByRole("link", { name: "long" }).getAttribute("href");
    await list.close();
    const started = performance.now();
    const page = await pageAt(link!);
    await drawn(page);
    console.log(`a run of 200,000 steps: drawn after ${(performance.now() - started).toFixed(0)} ms`);
    const asked = page.waitForResponse(/history\?points=\d+&from=\d+&to=\d+/);
    await page.getByRole("button", { name: "Zoom in" }).click();
    expect((await asked).status()).toBe(200);
    await page.locator("#range", { hasText: /steps \d+ to \d+ of 200000/ }).waitFor();
    await page.close();
  });

  it("shows the run that train --ui trains until it ends, and ends with it on Ctrl+C as without it", async () => {
    writeConfig(root, "long.yaml", { ...tinyConfig, training: { batchSize: 8, epochs: 400 } });
    const training = await start(root, ["train", "long.yaml", "--out", "watched", "--ui", "--quiet"]);
    const { page, context: own } = await open(training.address);
    expect(page.url()).toMatch(/\/runs\/[0-9a-f]{16}$/);
    await page.locator(".activity", { hasText: /step [1-9]/ }).waitFor({ timeout: 60_000 });
    expect(await page.getByRole("link", { name: "New run" }).count()).toBe(0);
    training.child.kill("SIGINT");
    await page.locator(".badge.stopped").waitFor({ timeout: 60_000 });
    expect(await training.ended).toBe(130);
    expect(training.stderr()).toContain("stopping after this step; once more to stop at once");
    await page.locator("#connection", { hasText: "not connected" }).waitFor();
    await own.close();
  });

  it("stops a run that was started in a terminal, as Ctrl+C there would", async () => {
    writeConfig(root, "terminal.yaml", { ...tinyConfig, training: { batchSize: 8, epochs: 400 } });
    const training = nlora(root, ["train", "terminal.yaml", "--out", "runs/terminal", "--quiet"]);
    const list = await pageAt("/");
    await list.getByRole("link", { name: "terminal" }).click({ timeout: 60_000 });
    await list.locator(".activity", { hasText: /step [1-9]/ }).waitFor({ timeout: 60_000 });
    await list.getByText("Trained by another process.").waitFor();
    await list.locator("#stop").click();
    await list.locator(".badge.stopped").waitFor({ timeout: 60_000 });
    const { status, stderr } = await training;
    expect([status, stderr]).toEqual([130, expect.stringMatching(/--resume .*runs\/terminal/)]);
    await list.locator("#resume").waitFor();
    expect(existsSync(join(root, "runs", "terminal", "stop-request"))).toBe(false);
    await list.close();
  });

  it("asks no other machine for anything, and breaks none of its own rules", () => {
    expect(requested.length).toBeGreaterThan(50);
    expect(requested.filter((url) => new URL(url).hostname !== "127.0.0.1")).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

const drawn = (page: Page) => expect.poll(() => page.evaluate(DRAWN), { timeout: 60_000 }).toBe(true);

/** Whether every canvas that is shown has something drawn on it. */
const DRAWN = `(() => {
  const shown = [...document.querySelectorAll("canvas")].filter((canvas) => canvas.offsetParent !== null);
  return shown.length > 0 && shown.every((canvas) =>
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0));
})()`;
