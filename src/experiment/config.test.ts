import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, UsageError } from "../errors.js";
import { METHOD_FACTS, METHOD_NAMES, METHOD_OPTIONS } from "../methods/registry.js";
import {
  type ConfigOverrides,
  firstDifference,
  loadConfig,
  parseConfig,
  resolveConfig,
  taskNames,
  writeConfig,
} from "./config.js";

function errorLines(yaml: string, overrides: ConfigOverrides = {}): string[] {
  try {
    parseConfig(yaml, "run.yaml", overrides);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split("\n");
  }
  throw new Error("the config was accepted");
}

describe("defaults", () => {
  it("fill an empty file with the paper's settings", () => {
    const config = parseConfig("", "run.yaml");
    expect(config.seed).toBe(42);
    expect(config.lora).toEqual({
      rank: 8,
      alpha: 32,
      dropout: 0.1,
      targetModules: null,
      previousAdapters: "stacked",
      storage: "dense",
      seqDelta: "snapshot",
    });
    expect(config.method).toEqual({
      name: "n-lora",
      penalty: { kind: "delta-w", normalise: "rms", includeScaling: false, gamma: 0 },
      lambda: 0.4,
      lambdaUnit: "published",
      target: null,
    });
    expect(config.training).toMatchObject({
      epochs: 10,
      batchSize: 32,
      microBatchSize: null,
      learningRate: 1e-3,
    });
    expect(config.training.clip).toEqual({ norm: 1, scope: "total" });
    expect(config.data).toMatchObject({ kind: "synthetic" });
    expect(taskNames(config)).toHaveLength(4);
  });

  it("the learning rate is a tenth where all weights are trained, unless one is given", () => {
    const rate = (yaml: string) => parseConfig(yaml, "run.yaml").training.learningRate;
    expect(rate("method: seq-ft")).toBe(1e-4);
    expect(rate("method: { name: ewc }\ntraining: { epochs: 2 }")).toBe(1e-4);
    expect(rate("method: { name: ewc, backbone: lora }")).toBe(1e-3);
    expect(rate("method: prog-prompt")).toBe(0.3);
    expect(rate("method: seq-ft\ntraining: { learningRate: 0.01 }")).toBe(0.01);
  });

  it("a group whose settings are all commented out counts as not given", () => {
    expect(parseConfig("training:\n  # epochs: 3\nseed: 7\n", "run.yaml").training.epochs).toBe(10);
  });

  it("a benchmark without order and tasks is order 1, its folder absolute", () => {
    const config = parseConfig("data: { kind: benchmark, root: some/where }", "run.yaml");
    expect(config.data).toMatchObject({ order: 1, root: resolve("some/where") });
    expect(taskNames(config)).toEqual(["dbpedia", "amazon", "yahoo", "agnews"]);
  });

  it("files are absolute, splits of a dataset are not, and jsonl is an old name of files", () => {
    const tasks = [
      { name: "a", train: "a.csv", test: ["b.csv", "c"] },
      { name: "b", dataset: "org/name@main", train: "train", test: "validation" },
      { name: "c", dataset: "./here" },
    ];
    const { data } = resolveConfig({ data: { kind: "jsonl", tasks } });
    expect(data).toMatchObject({
      kind: "files",
      incomplete: "error",
      tasks: [
        { train: resolve("a.csv"), test: [resolve("b.csv"), resolve("c")], format: "auto", columns: {} },
        { dataset: "org/name@main", train: "train", test: "validation" },
        { dataset: resolve("here"), train: null, test: null },
      ],
    });
    expect(resolveConfig({ data: { kind: "benchmark", root: "hub" } }).data).toMatchObject({ root: "hub" });
  });

  it("a method may be given by its name alone", () => {
    expect(resolveConfig({ method: "o-lora" }).method).toEqual({
      name: "o-lora",
      lambda1: 0.5,
      lambda2: 0,
      orth: "abs",
    });
  });
});

describe("errors", () => {
  it("are reported all together, each with its place in the file", () => {
    const yaml = [
      "seed: -1",
      "method:",
      "  name: n-lora",
      "  lamda: 0.4",
      "training:",
      '  batchSize: "many"',
      "  learning_rate: 0.001",
      "  betas: [0.9]",
      "colour: red",
    ].join("\n");
    expect(errorLines(yaml)).toEqual([
      "run.yaml:1:1: seed: expected a whole number >= 0 and <= 4294967295, found -1",
      "run.yaml:4:3: method.lamda: unknown key; did you mean lambda?",
      'run.yaml:6:3: training.batchSize: expected a whole number >= 1, found "many"',
      "run.yaml:7:3: training.learning_rate: unknown key; did you mean learningRate?",
      "run.yaml:8:3: training.betas: expected two numbers >= 0 and < 1, found [0.9]",
      expect.stringMatching(/^run\.yaml:9:1: colour: unknown key; known here: name, seed, model, /),
    ]);
  });

  it("suggest the method and the dataset that were probably meant", () => {
    expect(errorLines("method:\n  name: nlora\n")).toEqual([
      `run.yaml:2:3: method.name: expected one of ${METHOD_NAMES.join(", ")}, found "nlora"; did you mean n-lora?`,
    ]);
    const [line] = errorLines("data:\n  kind: benchmark\n  root: x\n  tasks:\n    - yelp\n    - agnew\n");
    expect(line).toMatch(
      /^run\.yaml:6:7: data\.tasks\.1: expected one of dbpedia, .*found "agnew"; did you mean agnews\?$/,
    );
  });

  it("name a method that is not given and one given as something else", () => {
    expect(errorLines("method: { lambda: 1 }")[0]).toMatch(
      /^run\.yaml:1:1: method\.name: expected one of .*, found nothing$/,
    );
    expect(errorLines("seed: 1\nmethod: nlora\n")[0]).toMatch(
      /^run\.yaml:2:1: method\.name: expected one of .*, found "nlora"; did you mean n-lora\?$/,
    );
    expect(errorLines("method: 3")[0]).toMatch(/^run\.yaml:1:1: method: expected one of .*, found 3$/);
  });

  it("of YAML are one line: the first, and aliases of nothing or of what they are in", () => {
    expect(errorLines("data:\n  kind: files\n  }\n  tasks: [ ]\n  x: y\n")).toEqual([
      expect.stringMatching(/^run\.yaml:3:3: /),
    ]);
    expect(errorLines("seed: *other")).toEqual([
      "run.yaml: Unresolved alias (the anchor must be set before the alias): other",
    ]);
    expect(errorLines("data: &all [*all]")).toEqual([
      "run.yaml: an alias (*name) within what it stands for; write the value out",
    ]);
    expect(() => parseConfig("", "run.yaml", { set: ["method=*x"] })).toThrow(ConfigError);
  });

  it("point into YAML that cannot be read", () => {
    expect(errorLines("seed: 1\nseed: 2\n")[0]).toMatch(/^run\.yaml:2:1: Map keys must be unique/);
    expect(errorLines("training: [1, 2\n")[0]).toMatch(/^run\.yaml:\d+:\d+: /);
    expect(errorLines("- 1\n- 2\n")[0]).toMatch(/^run\.yaml:1:1: expected a mapping with keys of name, seed/);
  });

  it("of a list with the wrong length name both lengths", () => {
    const yaml = "method: { name: n-lora, lambda: [1, 2, 3] }\ntraining:\n  epochs: [1, 2]\n";
    const lines = errorLines(yaml);
    expect(lines[0]).toMatch(
      /^run\.yaml:1:25: method\.lambda: expected 4 values, one per task \(.*\), found a list of 3$/,
    );
    expect(lines[1]).toMatch(/^run\.yaml:3:3: training\.epochs: expected 4 values.* found a list of 2$/);
    const jsonl =
      "data: { kind: jsonl, tasks: [{ name: a, train: a.jsonl, test: b.jsonl }] }\ntraining: { epochs: [1, 2] }";
    expect(errorLines(jsonl)[0]).toMatch(/expected 1 values, one per task \(a\), found a list of 2/);
  });

  it("of contradictions say what contradicts what", () => {
    expect(errorLines("data: { kind: benchmark }")[0]).toMatch(/data\.root: expected the folder.*--data DIR/);
    expect(errorLines("data: { kind: benchmark, root: x, order: 2, tasks: [yelp] }")[0]).toMatch(
      /either tasks or order/,
    );
    expect(errorLines("data: { kind: benchmark, root: x, tasks: [yelp, yelp] }")[0]).toMatch(
      /yelp is in the list twice/,
    );
    expect(errorLines("data: { kind: jsonl, tasks: [{ name: a, train: a.jsonl }] }")[0]).toMatch(
      /data\.tasks\.0\.test: .*holdOut/,
    );
    expect(errorLines("training: { batchSize: 8, microBatchSize: 16 }")[0]).toMatch(
      /at most batchSize \(8\), found 16/,
    );
  });

  it("of settings for adapters where all weights are trained say so", () => {
    const all = "method: { name: ewc, sparsity: { lambda: 1 } }\nstartFrom: [a]\ndata: { kind: synthetic }\n";
    const lines = errorLines(all);
    expect(lines[0]).toMatch(
      /^run\.yaml:1:22: method\.sparsity: expected null, EWC trains all weights and no adapter; set method\.backbone: lora/,
    );
    expect(lines[1]).toMatch(/^run\.yaml:2:1: startFrom: expected none, EWC trains all weights/);
    expect(() => parseConfig(all.replace("ewc,", "ewc, backbone: lora,"), "run.yaml")).not.toThrow();
  });

  it("of a stream without boundaries say what needs them", () => {
    const config = (method: string, rest = "") =>
      `method: ${method}\ndata: { kind: synthetic }\nonline: {}\n${rest}`;
    expect(() => parseConfig(config("n-lora"), "run.yaml")).not.toThrow();
    expect(errorLines(config("ewc"))[0]).toMatch(
      /^run\.yaml:3:1: online: expected null, EWC cannot do without the tasks' boundaries; methods that can: inc-lora, o-lora/,
    );
    expect(errorLines(config("{ name: norm-matched-lora, reference: a }"))[0]).toMatch(
      /online: expected null/,
    );
    expect(errorLines(config("{ name: n-lora, lambda: [1, 1, 1, 1] }"))[0]).toMatch(
      /method\.lambda: expected one value, online there are no tasks/,
    );
    expect(errorLines("online: { boundaries: sometimes }")[0]).toMatch(
      /online\.boundaries: expected one of detected, known, none, or \{ every: 200 \}, found "sometimes"/,
    );
    expect(errorLines("data: { kind: synthetic, recurAfter: 2 }")[0]).toMatch(
      /data\.recurAfter: expected null, labels of the bundled stream keep their meaning/,
    );
  });

  it("of prompts say what does not go with them", () => {
    const lines = errorLines(
      "method: { name: l2p, poolSize: 2, selected: 3 }\nstartFrom: [a]\ndata: { kind: synthetic }\n",
    );
    expect(lines[0]).toMatch(/^run\.yaml:1:35: method\.selected: expected at most poolSize \(2\), found 3/);
    expect(lines[1]).toMatch(/^run\.yaml:2:1: startFrom: expected none, L2P trains prompts/);
  });

  it("of a hidden task say so where a method has to know it", () => {
    const config = (method: string, identity: string) =>
      `method: ${method}\ndata: { kind: benchmark, root: data, promptIdentity: ${identity} }\n`;
    for (const method of ["prog-prompt", "per-task-ft"]) {
      for (const identity of ["none", "shuffled"]) {
        expect(errorLines(config(method, identity))[0]).toMatch(
          /^run\.yaml:2:\d+: data\.promptIdentity: expected task\+dataset, .* has to know the task/,
        );
      }
    }
    expect(() => parseConfig(config("l2p", "none"), "run.yaml")).not.toThrow();
    expect(() => parseConfig(config("prog-prompt", "task+dataset"), "run.yaml")).not.toThrow();
  });

  it("of lists per task say so where all tasks are learned at once", () => {
    expect(errorLines("method: mtl\ntraining: { epochs: [1, 2, 3, 4] }\n")[0]).toMatch(
      /training\.epochs: expected one value, MTL learns all tasks at once; found a list/,
    );
    const nested = "method: { name: ewc, backbone: lora, sparsity: { lambda: [1, 2] } }\n";
    expect(errorLines(nested)[0]).toMatch(
      /method\.sparsity\.lambda: expected 4 values, .* found a list of 2/,
    );
  });

  it("of a memory that is none of the known kinds name them", () => {
    expect(errorLines("method: { name: replay, memory: { rows: 3 } }\n")[0]).toMatch(
      /method\.memory: expected \{ fraction: 0\.02 \}, \{ perTask: 100 \}, /,
    );
  });

  it("of a task of files name the setting", () => {
    const problem = (task: string, more = "") =>
      errorLines(`data: { kind: files${more}, tasks: [{ name: a, ${task} }] }`)[0];
    expect(problem("test: b")).toMatch(/data\.tasks\.0\.train: expected a file, a folder or a list of them/);
    expect(problem("train: [], test: b")).toMatch(/tasks\.0\.train: expected a file.*, found \[\]$/);
    expect(problem("train: a, test: b, subset: c")).toMatch(/tasks\.0\.subset: only a dataset has subsets/);
    expect(problem("train: a, test: b, prompt: '{x', columns: { output: y }")).toMatch(
      /tasks\.0\.prompt: .* has a \{ without its other half/,
    );
    expect(problem("train: a, test: b, prompt: hello")).toMatch(
      /tasks\.0\.prompt: expected a text with \{columns\}/,
    );
    expect(problem("train: a, test: b, prompt: '{x}', instruction: do it")).toMatch(
      /tasks\.0\.instruction: give either a prompt or an instruction/,
    );
    expect(problem("train: a, test: b, format: text-lable")).toMatch(/did you mean text-label\?$/);
    expect(problem("train: a, test: b, columns: { inputs: x }")).toMatch(
      /unknown key; did you mean input\?$/,
    );
    expect(problem("train: a, test: b", ", incomplete: skip")).toMatch(/expected one of error, drop/);
  });

  it("of a task name that would leave the run folder refuse it", () => {
    expect(errorLines("data: { kind: jsonl, tasks: [{ name: ../a, train: a, test: b }] }")[0]).toMatch(
      /data\.tasks\.0\.name/,
    );
    expect(errorLines("name: a/b")[0]).toMatch(/name: expected a name of letters/);
  });

  it("of a file that is not there name the file", () => {
    expect(() => loadConfig("/nowhere/run.yaml")).toThrow(
      "cannot read the config /nowhere/run.yaml: there is no such file",
    );
  });
});

describe("settings from the command line", () => {
  it("win over the file, their values read as YAML", () => {
    const file = join(mkdtempSync(join(tmpdir(), "nlora-")), "run.yaml");
    writeFileSync(file, "seed: 1\ntraining: { epochs: 3 }\n");
    const config = loadConfig(file, {
      set: ["training.epochs=[1, 2, 3, 4]", "lora.rank=4", "method=inc-lora", "threads=2"],
      seed: "9",
      data: "bench",
    });
    expect(config.training.epochs).toEqual([1, 2, 3, 4]);
    expect(config).toMatchObject({
      seed: 9,
      threads: 2,
      method: { name: "inc-lora" },
      data: { kind: "benchmark" },
    });
    expect(config.lora.rank).toBe(4);
  });

  it("start from the default method and data where the file leaves them out", () => {
    const set = ["method.lambda=1.5", "data.trainRows=7"];
    expect(parseConfig("seed: 1", "run.yaml", { set })).toMatchObject({
      method: { name: "n-lora", lambda: 1.5 },
      data: { kind: "synthetic", trainRows: 7 },
    });
    expect(parseConfig("", "run.yaml", { set: ["data.trainRows=7"], data: "bench" }).data).toMatchObject({
      kind: "benchmark",
      trainRows: 7,
    });
  });

  it("reach into a method given by its name and into lists", () => {
    const yaml = "method: o-lora\ndata: { kind: jsonl, tasks: [{ name: a, train: a, test: b }] }";
    const config = parseConfig(yaml, "run.yaml", { set: ["method.lambda1=2", "data.tasks.0.name=z"] });
    expect(config.method).toMatchObject({ name: "o-lora", lambda1: 2 });
    expect(taskNames(config)).toEqual(["z"]);
  });

  it("are named in the error, not the file", () => {
    expect(errorLines("seed: 1", { set: ["training.batchSize=many"] })).toEqual([
      '--set training.batchSize=many: training.batchSize: expected a whole number >= 1, found "many"',
    ]);
    expect(errorLines("seed: 1", { seed: "x" })).toEqual([
      expect.stringMatching(/^--seed x: seed: expected a whole/),
    ]);
    expect(errorLines("seed: 1", { set: ["seed.x=1"] })).toEqual([
      "--set seed.x=1: seed is 1, which has no settings of its own",
    ]);
    expect(errorLines("data: { kind: synthetic }", { data: "d" })[0]).toMatch(
      /^--data d: only data\.kind benchmark/,
    );
    expect(() => parseConfig("", "run.yaml", { set: ["seed"] })).toThrow(UsageError);
  });

  it("cannot reach outside the config's own keys", () => {
    expect(() => parseConfig("", "run.yaml", { set: ["__proto__.polluted=1"] })).not.toThrow(TypeError);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("writing", () => {
  const perTask = fc.oneof(
    fc.double({ min: 0, max: 10, noNaN: true }),
    fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 4, maxLength: 4 }),
  );

  it("and reading gives the same config", () => {
    const settings = fc.record(
      {
        name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/),
        seed: fc.nat(),
        model: fc.stringMatching(/^[^\0]{1,20}$/),
        method: fc
          .constantFrom(...METHOD_NAMES.filter((name) => METHOD_FACTS[name].learns !== "jointly"))
          .map((name) =>
            "reference" in METHOD_OPTIONS[name] ? { name, reference: "runs/reference" } : name,
          ),
        training: fc.record({
          learningRate: perTask,
          weightDecay: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
        }),
        lora: fc.record(
          { targetModules: fc.array(fc.string({ minLength: 1 }), { minLength: 1 }) },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(settings, (values) => {
        const config = resolveConfig(values);
        const text = writeConfig(config);
        expect(firstDifference(parseConfig(text, "config.yaml"), config)).toBeNull();
        expect(writeConfig(parseConfig(text, "config.yaml"))).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  it("lists every setting, so that a later default changes nothing", () => {
    const text = writeConfig(resolveConfig({}));
    for (const key of [
      "lambdaUnit: published",
      "microBatchSize: null",
      "previousAdapters: stacked",
      "maxNewTokens: 50",
    ]) {
      expect(text).toContain(key);
    }
  });
});

describe("comparing", () => {
  it("names the first setting that differs, and what it is on both sides", () => {
    const one = resolveConfig({});
    const two = resolveConfig({ training: { epochs: [1, 2, 3, 4] }, evaluation: { base: false } });
    expect(firstDifference(one, two)).toEqual({ key: "training.epochs", left: 10, right: [1, 2, 3, 4] });
    expect(firstDifference(one, resolveConfig({}))).toBeNull();
  });
});
