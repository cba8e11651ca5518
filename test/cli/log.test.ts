/** Loggers of a whole run: while it goes on, and afterwards. Needs `npm run build`. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readJournal } from "../../src/runs/journal.js";
import { type Finished, nlora, TASKS, writeConfig, writeTasks } from "../support/command-line.js";
import { MlflowServer } from "../support/mlflow-server.js";
import { readEventFiles } from "../support/tensorboard-reader.js";

const root = mkdtempSync(join(tmpdir(), "nlora-log-"));
const names = Object.keys(TASKS);
let server: MlflowServer;
let first: Finished;
beforeAll(async () => {
  server = await MlflowServer.start();
  writeTasks(root);
  writeConfig(root, "tiny.yaml");
  const targets = ["tensorboard", "csv", `mlflow=${server.address}`, "mlflow=http://127.0.0.1:1"];
  const logs = targets.flatMap((target) => ["--log", target]);
  first = await nlora(root, ["train", "tiny.yaml", "--out", "run", "--quiet", ...logs]);
});
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
});

const losses = () =>
  readJournal(join(root, "run", "events.jsonl")).flatMap((event) =>
    event.type === "step" ? [event.taskLoss] : [],
  );
const csv = (path: string) =>
  (parse(readFileSync(join(root, path)), { columns: true }) as Record<string, string>[]).map(
    ({ step, task, series, value }) => [step, task, series, value].join(" "),
  );

it("a run is logged to all that were asked for, and one that is not there is said and changes nothing", () => {
  expect(first.status).toBe(0);

  expect(first.stderr).toMatch(/mlflow=http:\/\/127.0.0.1:1: \d+ of \d+ values.* were not sent/);
  const { scalars } = readEventFiles(join(root, "run", "tensorboard"));
  expect(scalars("train/task_loss").map(({ value }) => value)).toEqual(losses().map(Math.fround));
  expect(scalars("run/averageAccuracy")).toHaveLength(1);
  const rows = csv("run/metrics.csv");
  losses().forEach((loss, k) => {
    expect(rows.some((row) => row.startsWith(`${k + 1} `) && row.endsWith(` train/task_loss ${loss}`))).toBe(
      true,
    );
  });
  const [run] = server.runs;
  expect(server.runs).toHaveLength(1);
  expect(run).toMatchObject({ name: "run", status: "FINISHED" });
  expect(run!.metrics.filter(({ key }) => key === "train/task_loss").map(({ value }) => value)).toEqual(
    losses(),
  );
  expect(
    run!.metrics.filter(({ key }) => key.startsWith("accuracy/")).map(({ key }) => key.slice(9)),
  ).toEqual(expect.arrayContaining(names.map((name, k) => `${k + 1}-${name}`)));
  expect(server.refusals).toEqual([expect.stringContaining("no experiment")]);
});

it("nlora log writes the same afterwards, and overwrites nothing", async () => {
  const asked = ["log", "run", "--to", "csv", "--to", "tensorboard", "--to", `mlflow=${server.address}`];
  const refused = await nlora(root, asked);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(
    /metrics\.csv is there already\nhint: remove it, or give another folder with --out/,
  );
  const written = await nlora(root, [...asked, "--out", "curves"]);
  expect(written.stderr).toBe("");
  expect(written.status).toBe(0);
  expect(csv("curves/run.csv")).toEqual(csv("run/metrics.csv"));
  const [live, after] = [join(root, "run", "tensorboard"), join(root, "curves", "run")].map(readEventFiles);
  for (const tag of ["train/task_loss", `accuracy/1-${names[0]}`, "average_accuracy", "run/gsr"]) {
    const values = (of: typeof live) => of!.scalars(tag).map(({ step, value }) => [step, value]);
    expect(values(after)).toEqual(values(live));
  }
  expect(server.runs).toHaveLength(2);
  const [one, two] = server.runs.map(({ metrics }) =>
    metrics.map(({ key, step, value }) => `${key} ${step} ${value}`),
  );
  expect(two).toEqual(one);
});

it("nlora log fails when a server refuses, and leaves no half file of a run that has not started", async () => {
  server.trouble = () => ({ status: 403 });
  const refused = await nlora(root, ["log", "run", "--to", `mlflow=${server.address}`]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/status 403; nothing more is sent/);
  const nothing = await nlora(root, ["log", ".", "--to", "csv", "--out", "nothing"]);
  expect(nothing.status).toBe(1);
  expect(nothing.stderr).toMatch(/there is no run in/);
});
