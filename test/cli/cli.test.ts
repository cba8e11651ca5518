/** The compiled command line as a process, for everything that needs no engine. Needs `npm run build`. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { resolveConfig, writeConfig } from "../../src/experiment/config.js";
import type { RunEvent } from "../../src/learn/events.js";
import { RunFolder } from "../../src/runs/run-folder.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "nlora-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Runs the command line with an engine that cannot be loaded. */
function nlora(...args: string[]) {
  const env = {
    ...process.env,
    NLORA_ENGINE: join(root, "no-engine.node"),
    NO_COLOR: "1",
    FORCE_COLOR: undefined,
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: root,
    encoding: "utf8",
    env,
  });
  return { status, stdout, stderr };
}

function file(name: string, text: string): string {
  writeFileSync(join(root, name), text);
  return name;
}

it("is built", () => {
  expect(existsSync(main), "run npm run build first").toBe(true);
});

describe("help", () => {
  it("lists the commands, with examples and exit codes, without the engine", () => {
    const { status, stdout, stderr } = nlora("--help");
    expect(status).toBe(0);
    expect(stderr).toBe("");
    for (const command of ["train", "demo", "data", "inspect", "doctor"])
      expect(stdout).toContain(`\n  ${command} `);
    expect(stdout).toContain("nlora train configs/t5-mini-order-1.yaml --data");
    expect(stdout).toContain("130 interrupted");
  });

  it("of train lists every setting with its default", () => {
    const { status, stdout } = nlora("train", "--help");
    expect(status).toBe(0);
    expect(stdout).toMatch(/training\.batchSize +32 +rows per optimizer step/);
    expect(stdout).toMatch(/method\.name +n-lora +seq-ft, .*seq-lora, inc-lora, o-lora, n-lora, prox-lora/);
    expect(stdout).toMatch(/method\.lambda1 +0\.5 +\[o-lora, o-lora-n-lora\]/);
    expect(stdout).toMatch(/data\.trainRows +1000 +\[synthetic\]/);
  });

  it("the version is the package's", () => {
    const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(nlora("--version")).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: "" });
  });
});

describe("wrong usage ends with 2 and says what was meant", () => {
  it.each([
    [["trian"], /error: unknown command 'trian'[\s\S]*Did you mean train/],
    [["train", "--sett", "a=1"], /error: unknown option '--sett'[\s\S]*Did you mean --set/],
    [["train"], /error: train needs a config file\nhint: /],
    [["inspect"], /error: missing required argument 'run\|adapter'/],
    [["inspect", "x", "--readings", "abs,all"], /error: --readings: expected any of abs, .*found "all"/],
    [["inspect", "x", "--pair", "1,2"], /error: --pair chooses the adapters of a map, but there is no --map/],
    [
      ["inspect", "x", "--map", "m", "--pair", "1"],
      /error: --pair: expected two numbers or names .*found "1"/,
    ],
    [["train", "a.yaml", "b.yaml"], /error: too many arguments/],
    [["train", "--resume", "x", "--out", "y"], /error: --resume and --out exclude each other/],
    [["train", "none.yaml"], /error: cannot read the config none\.yaml: there is no such file/],
    [[], /Usage: nlora/],
  ])("%j", (args, message) => {
    const { status, stdout, stderr } = nlora(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(stdout).toBe("");
    expect(status).toBe(2);
  });
});

describe("a wrong configuration", () => {
  it("ends with 2 and a line for each problem, before anything is written", () => {
    const config = file("wrong.yaml", "training:\n  batchSize: many\n  epoch: 3\nmethod:\n  name: n-lara\n");
    const { status, stderr } = nlora("train", config, "--out", "wrong-run", "--set", "lora.rank=0");
    expect(stderr.trimEnd().split("\n")).toEqual([
      'error: wrong.yaml:2:3: training.batchSize: expected a whole number >= 1, found "many"',
      "error: wrong.yaml:3:3: training.epoch: unknown key; did you mean epochs?",
      expect.stringMatching(
        /^error: wrong\.yaml:5:3: method\.name: expected one of .* found "n-lara"; did you mean n-lora\?$/,
      ),
      "error: --set lora.rank=0: lora.rank: expected a whole number >= 1, found 0",
    ]);
    expect(status).toBe(2);
    expect(existsSync(join(root, "wrong-run"))).toBe(false);
  });
});

describe("data preview", () => {
  it("of a file says how it is read and shows rows as the model sees them, without the engine", () => {
    const { status, stdout, stderr } = nlora(
      "data",
      "preview",
      file("moods.csv", "text,label\nGood day,good\nBad day,bad\n"),
    );
    expect(stderr).toBe("");
    expect(stdout).toContain(
      "\ntask moods\n  read as text-label (csv): input from text, output from label; 2 labels\n",
    );
    expect(stdout).toMatch(
      /row 2\n {2}source, 3 tokens\n {2}│ Bad day<\/s>\n {2}target, 2 tokens\n {2}│ bad<\/s>\n$/,
    );
    expect(status).toBe(0);
  });

  it("takes settings, and gives the numbers as JSON", () => {
    const path = file("stars.jsonl", '{"body": "Good day", "stars": 1}\n{"body": "Bad day", "stars": 0}\n');
    const set =
      "data.tasks.0={name: stars, train: stars.jsonl, test: stars.jsonl, columns: {input: body, output: stars}, labels: [low, high]}";
    const { status, stdout } = nlora("data", "preview", path, "--set", set, "--rows", "0", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      tasks: [
        {
          labels: [
            { label: "low", train: 1 },
            { label: "high", train: 1 },
          ],
          rows: [],
        },
      ],
    });
  });

  it("of a config previews its tasks, and of a folder with splits its dataset", () => {
    mkdirSync(join(root, "colours"));
    file("colours/train.jsonl", '{"input": "sky", "output": "blue"}\n');
    file("colours/dev.jsonl", '{"input": "sea", "output": "blue"}\n');
    const ofFolder = nlora("data", "preview", "colours");
    expect(ofFolder.stdout).toMatch(/task colours\n[\s\S]*\ncolours +train +1 [\s\S]*\ncolours +test +1 /);
    const config = file("colours.yaml", "data: { kind: files, tasks: [{ name: c, dataset: ./colours }] }\n");
    expect(nlora("data", "preview", config).stdout).toContain("task c\n  read as input-output (jsonl)");
  });

  it.each([
    [["data", "preview"], /missing required argument 'config\|file'\nhint: nlora data preview --help/, 2],
    [["data", "preview", "no.csv"], /^error: .*no\.csv: no such file\n$/, 1],
    [
      ["data", "preview", "moods.csv", "--rows", "many"],
      /^error: --rows expects a number, found "many"\n$/,
      2,
    ],
    [["data", "preview", "moods.csv", "--task", "x"], /^error: there is no task x; tasks: moods\n$/, 2],
    [
      ["data", "preview", "moods.csv", "--set", "data.tasks.0.format=alpaca"],
      /fit not alpaca; columns found: text, label/,
      1,
    ],
  ])("%j fails in one line", (args, message, code) => {
    const { status, stdout, stderr } = nlora(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(stdout).toBe("");
    expect(status).toBe(code);
  });
});

describe("run folders", () => {
  const time = "2026-01-01T00:00:00.000Z";
  const events: RunEvent[] = [
    { type: "run-start", time, method: "n-lora", model: "builtin", tasks: ["a"], seed: 42, resumedAt: 0 },
    {
      type: "evaluation",
      task: "a",
      index: 0,
      afterIndex: 0,
      accuracy: 75,
      outOfLabelRate: 0,
      rows: 4,
      seconds: 1,
    },
    { type: "task-end", task: "a", index: 0, seconds: 1, deltaNorm: 1 },
    { type: "run-end", time, status: "done" },
  ];

  /** A folder as a finished run leaves it. */
  function finishedRun(name: string): { path: string; config: string } {
    const path = join(root, name);
    mkdirSync(path);
    const folder = RunFolder.create(path, resolveConfig({ name }));
    writeFileSync(folder.journalFile, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    folder.updateRecord();
    return { path, config: file(`${name}.yaml`, writeConfig(resolveConfig({ name }))) };
  }

  it("with a finished run are not written again", () => {
    const { path, config } = finishedRun("finished");
    const before = readFileSync(join(path, "record.json"), "utf8");
    const { status, stderr } = nlora("train", config, "--out", path);
    expect(stderr).toMatch(/error: .* already holds a finished run\nhint: .*--out/);
    expect(status).toBe(1);
    expect(readFileSync(join(path, "record.json"), "utf8")).toBe(before);
  });

  it("with a finished run are reported again by --resume", () => {
    const { path } = finishedRun("again");
    const text = nlora("train", "--resume", path);
    expect(text.status).toBe(0);
    expect(text.stderr).toContain("finished already");
    expect(text.stdout).toMatch(/1 a +75\.00/);
    expect(text.stdout).toContain(`run folder: ${path}`);
    const json = nlora("train", "--resume", path, "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      type: "record",
      folder: path,
      record: { status: "done", averageAccuracy: 75 },
    });
  });

  it("are resumed only with the same settings", () => {
    const { path } = finishedRun("other");
    const { status, stderr } = nlora("train", "--resume", path, "--set", "training.epochs=3");
    expect(stderr).toContain(`error: cannot resume ${path}: training.epochs is 10 there and 3 here`);
    expect(status).toBe(1);
    expect(nlora("train", "--resume", join(root, "nowhere")).stderr).toMatch(
      /error: there is no run in .*nowhere/,
    );
  });
});

describe("without an engine", () => {
  it("a run fails with one line, a hint and a record of the failure", () => {
    const config = file("no-engine.yaml", "name: no-engine\n");
    const { status, stderr } = nlora("train", config, "--out", "no-engine-run", "--quiet");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: The engine is not built: .*no-engine\.node does not exist\.\nhint: Run: npm run build\n/m,
    );
    const journal = readFileSync(join(root, "no-engine-run", "events.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    expect(JSON.parse(journal.at(-1)!)).toMatchObject({ type: "run-failed" });
  });

  it("doctor still says what program and platform this is", () => {
    const text = nlora("doctor");
    expect(text.status).toBe(1);
    expect(text.stdout).toContain(`Node ${process.version}`);
    expect(text.stderr).toMatch(/error: The engine is not built/);
    const json = nlora("doctor", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      node: process.version,
      engine: null,
      error: { hint: "Run: npm run build" },
    });
  });
});
