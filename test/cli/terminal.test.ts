/** A run on a terminal: `script` (util-linux) lends it one of its own. Needs `npm run build`. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../src/tensor/native.js";
import { writeConfig, writeTasks } from "../support/command-line.js";

const hasScript = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") ?? false;
const root = mkdtempSync(join(tmpdir(), "nlora-terminal-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** All that a terminal of 100 columns gets to see of a command. */
async function onTerminal(args: string): Promise<{ status: number | null; screen: string }> {
  const env = { ...process.env, OMP_NUM_THREADS: "1", TERM: "xterm", CI: "", NO_COLOR: "1" };
  const command = `stty cols 100 rows 30; exec '${process.execPath}' '${join(packageRoot, "dist/cli/main.js")}' ${args}`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let screen = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, screen: screen.replaceAll("\r\n", "\n") };
}

describe.skipIf(!hasScript)("on a terminal (skipped without util-linux's script)", () => {
  let run: Awaited<ReturnType<typeof onTerminal>>;
  beforeAll(async () => {
    writeTasks(root);
    writeConfig(root, "tiny.yaml");
    run = await onTerminal("train tiny.yaml --out run");
  });

  it("a block of two lines is drawn over and over: task, step, loss and its parts, speed, memory, time left", () => {
    expect(run.status).toBe(0);
    const blocks = run.screen.split("\u001b[2A\u001b[0J").map((part) => part.split("\n").slice(-3, -1));
    expect(blocks.length).toBeGreaterThan(2);
    const [activity, figures] = blocks.find(([, second]) => second?.includes(" left")) ?? [];
    expect(activity).toMatch(/^[█░]{20} n-lora {2}task \d\/3 \w+ {2}(step \d+\/\d+|answering \w+ \d+\/\d+)$/);
    expect(figures).toMatch(
      /^loss \d+\.\d{4} \+ sparsity \d+\.\d{4} {2}[\d.]+k? tokens\/s {2}[\d.]+ [MG]iB {2}about .+ left$/,
    );
    for (const line of blocks.flat()) expect(line.length).toBeLessThan(100);
  });

  it("the block is gone at the end, and the matrix and the metrics stay as tables", () => {
    const end = run.screen.slice(run.screen.lastIndexOf("\u001b[2A\u001b[0J"));
    expect(end).not.toMatch(/[█░]/);
    expect(end).toMatch(/^accuracy \(%\) on +base +after 1 +after 2 +after 3$/m);
    expect(end).toMatch(/^3 mood( +(–|\d+\.\d\d)){4}$/m);
    expect(end).toMatch(/^AA \(average accuracy, %\) +\d/m);
    expect(end).toContain(`run folder: ${join(root, "run")}`);
  });

  it("--quiet and --json draw nothing", async () => {
    const done = "train --resume run";
    const [quiet, json] = [await onTerminal(`${done} --quiet`), await onTerminal(`${done} --json`)];
    for (const { screen } of [quiet, json]) expect(screen).not.toContain("\u001b[");
    expect(JSON.parse(json.screen.trimEnd().split("\n").at(-1)!)).toMatchObject({ type: "record" });
  });
});
