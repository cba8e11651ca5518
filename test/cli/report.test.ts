/** `nlora report` as a process, and what it wrote in a real browser. Needs `npm run build`. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findBrowser, openBrowser } from "../../src/bench/browser.js";
import { type Finished, nlora } from "../support/command-line.js";
import { writeJournalledRun } from "../support/journalled-run.js";
import { parseSvg } from "../support/svg.js";
import { writeTinyRun } from "../support/tiny-run.js";

const program = findBrowser();
const HOSTILE = `<img src="https://example.invalid/x.png" onerror="alert(1)">`;

const root = mkdtempSync(join(tmpdir(), "nlora-report-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let written: Finished;
beforeAll(async () => {
  writeJournalledRun(join(root, "one"), { notes: [HOSTILE] });
  writeJournalledRun(join(root, "two"), { method: "inc-lora", level: 60, penalty: { kind: "none" } });
  writeJournalledRun(join(root, "three"), { status: "interrupted", seed: 43 });
  written = await nlora(root, [
    "report",
    "one",
    "two",
    "three",
    "-o",
    "out.html",
    "--figures",
    "figures",
    "--no-adapters",
  ]);
});

it("writes one file, and every figure with its numbers", async () => {
  expect(written.status).toBe(0);
  expect(written.stdout).toBe(`${join(root, "out.html")}\n`);
  const files = readdirSync(join(root, "figures"));
  const figures = files.filter((name) => name.endsWith(".svg"));
  expect(files.filter((name) => name.endsWith(".csv"))).toHaveLength(figures.length);
  expect(figures).toContain("run-1-accuracy.svg");
  for (const name of figures)
    expect(parseSvg(readFileSync(join(root, "figures", name), "utf8")).name).toBe("svg");
  expect(readFileSync(join(root, "figures", "run-1-matrix.csv"), "utf8")).toBe(
    "tested on,1,2\n1 news,80,70\n2 films,,75\n",
  );
  const alone = await nlora(root, ["report", "two", "--figures", "more", "--no-adapters"]);
  expect([alone.stdout, existsSync(join(root, "report.html"))]).toEqual(["", false]);
});

it("measures the adapters of finished runs, tells what it could not measure, and leaves them where asked", async () => {
  writeTinyRun(join(root, "tiny"), root);
  const measured = await nlora(root, ["report", "tiny", "-o", "tiny.html"]);
  expect([measured.status, measured.stderr]).toEqual([0, "measuring the adapters of tiny\n"]);
  const read = () => readFileSync(join(root, "tiny.html"), "utf8");
  expect(read()).toContain("Nuclear norm of every module");
  await nlora(root, ["report", "tiny", "-o", "tiny.html", "--no-adapters"]);
  expect(read()).not.toContain("Nuclear norm of every module");
  rmSync(join(root, "tiny", "adapters", "2-second"), { recursive: true });
  const damaged = await nlora(root, ["report", "tiny", "-o", "tiny.html"]);
  expect(damaged.status).toBe(0);
  expect(read()).toMatch(/The adapters of tiny were not measured: [^<]*2-second/);
});

it("refuses what is no run, and writes nothing", async () => {
  const refused = await nlora(root, ["report", "one", "figures", "-o", "none.html"]);
  expect([refused.status, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/figures: found no run in this folder/),
  ]);
  expect(existsSync(join(root, "none.html"))).toBe(false);
});

describe.skipIf(program === null)("in a browser (skipped without chromium)", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser(program!);
  });
  afterAll(() => browser.close());

  /** A page from disk, with all it asked for and all that went wrong in it. */
  async function open(file: string, options: Parameters<Browser["newContext"]>[0] = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const asked: string[] = [];
    const wrong: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("console", (message) => wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("dialog", (dialog) => wrong.push(dialog.message()));
    const url = pathToFileURL(join(root, file)).href;
    await page.goto(url);
    return { page, asked, wrong, url, close: () => context.close() };
  }

  /** The colour that is seen behind the first figure, and its title's. */
  const coloursOf = (page: Page) =>
    page.evaluate<string[]>(
      `["rect", "text"].map((name) => getComputedStyle(document.querySelector("svg.nlora-figure " + name)).fill)`,
    );

  it("opens from disk, asks for nothing else, and shows text from outside as text", async () => {
    const { page, asked, wrong, url, close } = await open("out.html");
    expect(await page.title()).toBe("Report on 3 runs");
    expect(await page.locator("section.run h2 .status").allTextContents()).toEqual([
      "done",
      "done",
      "interrupted",
    ]);
    expect(await page.locator("figure svg").count()).toBe(
      readdirSync(join(root, "figures")).filter((name) => name.endsWith(".svg")).length,
    );
    expect(await page.getByText(HOSTILE).count()).toBe(1);
    expect(await page.locator("img").count()).toBe(0);
    for (const numbers of await page.locator("details.numbers summary").all()) await numbers.click();
    expect(await page.locator("details.numbers[open] table").count()).toBeGreaterThan(0);
    expect(wrong).toEqual([]);
    expect(asked).toEqual([url]);
    await close();
  });

  it("follows the reader's light or dark, and is light on paper, with no table wider than the sheet", async () => {
    const light = await open("out.html", { colorScheme: "light" });
    expect(await coloursOf(light.page)).toEqual(["rgb(255, 255, 255)", "rgb(27, 27, 27)"]);
    await light.close();
    const dark = await open("out.html", { colorScheme: "dark", viewport: { width: 680, height: 960 } });
    expect(await coloursOf(dark.page)).toEqual(["rgb(21, 24, 29)", "rgb(232, 232, 232)"]);
    await dark.page.emulateMedia({ media: "print" });
    expect(await coloursOf(dark.page)).toEqual(["rgb(255, 255, 255)", "rgb(27, 27, 27)"]);
    // 180 mm at 96 dots an inch: what A4 leaves between margins.
    const wide = await dark.page.evaluate<number[]>(
      `[...document.querySelectorAll("table, svg.nlora-figure")]
        .map((node) => node.getBoundingClientRect().right)
        .filter((right) => right > 680)`,
    );
    expect(wide).toEqual([]);
    await dark.close();
  });

  it("shows a figure on its own from disk, in the reader's light or dark", async () => {
    const { page, asked, wrong, url, close } = await open("figures/run-1-accuracy.svg", {
      colorScheme: "dark",
    });
    expect(await coloursOf(page)).toEqual(["rgb(21, 24, 29)", "rgb(232, 232, 232)"]);
    expect(wrong).toEqual([]);
    expect(asked).toEqual([url]);
    await close();
  });
});
