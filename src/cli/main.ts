#!/usr/bin/env node
/** The command line. Commands are loaded when they run, so that help starts at once and needs no engine. */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, Option } from "commander";
import { reported } from "../errors.js";
import { STUDIES } from "../study/studies.js";
import { EXIT, type ExitCode, errorText, exitCodeOf } from "./exit.js";
import { addInferenceCommands } from "./inference-commands.js";
import { addInspectCommand } from "./inspect-command.js";
import { wholeNumber } from "./number-option.js";
import { settingsHelp } from "./settings-help.js";
import { packageVersion } from "./version.js";

const EXAMPLES = `
Examples:
  nlora demo                                    three methods on the bundled tasks, in minutes
  nlora train configs/t5-mini-order-1.yaml --data ../shared/data/cl-benchmark
  nlora train run.yaml --set method=o-lora --set training.epochs=1 --seed 43
  nlora train --resume runs/20260131-174502-run-n-lora-s42
  nlora data preview run.yaml                   what the model will see of the data
  nlora ui                                      runs in a browser: watch, compare, start, stop, resume
  nlora inspect runs/*/adapters/1-dbpedia runs/*/adapters/2-amazon
  nlora report runs/20260131-174502-run-n-lora-s42 -o report.html
  nlora export runs/20260131-174502-run-n-lora-s42 --format peft --out adapter
  nlora merge builtin runs/*/adapters/1-dbpedia --out merged
  nlora generate runs/support "Which team answers: my invoice is wrong?"
  nlora doctor                                  what the engine was built with

nlora train --help lists every setting of a config.
A run is a folder: config.yaml, events.jsonl, adapters/, predictions/, record.json.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.
Environment: OMP_NUM_THREADS, GOMP_SPINCOUNT (default 2000), NO_COLOR, NLORA_DEBUG=1 (stack traces).`;

const TRAIN_HELP = () => `
Progress goes to stderr, results to stdout. Ctrl+C ends the run after the current step; --resume goes on at the first
task that is not finished. Relative paths count from the working directory.

Examples:
  nlora train run.yaml --set lora.rank=4 --set "method.lambda=[0.4, 0.4, 1.2, 0.4]"
  nlora train run.yaml --set "method={name: o-lora, lambda1: 0.5}" --out runs/o-lora
  nlora train run.yaml --json | jq 'select(.type == "evaluation")'

Settings: key, default, meaning. A config file is YAML and holds any of them, nested (training: { epochs: 4 }); what it
leaves out has its default. Settings in [brackets] belong to these kinds of data or methods alone.
${settingsHelp()}`;

const studiesHelp = (): string => {
  const width = Math.max(...STUDIES.map(({ name }) => name.length));
  return STUDIES.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`).join("\n");
};

const STUDY_HELP = `
Runs that are done are skipped and runs that were stopped go on, so the same command continues a study; studies that share
a folder share runs. <out>/<name>.{md,csv,json} is written after every run.

Studies:
${studiesHelp()}

Examples:
  nlora study table-1 --scale mini --data DIR --jobs 2
  nlora study figure-6 --scale mini --data DIR --orders order-1 --seeds 42`;

const LOG_OPTION = "write the run to tensorboard, csv or mlflow=URL as it goes on; may be repeated";

const LOG_HELP = `
Into each run's folder: tensorboard/ and metrics.csv; with --out into one folder for all of them, as tensorboard --logdir
takes it. MLflow: a new run of the experiment MLFLOW_EXPERIMENT_NAME (default: nlora).

Environment: MLFLOW_TRACKING_URI (for --to mlflow), MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD.

Examples:
  nlora log runs/* --to tensorboard --out curves && tensorboard --logdir curves
  nlora log runs/20260131-174502-run-n-lora-s42 --to csv --to mlflow=http://localhost:5000`;

const REPORT_HELP = `
The file works from disk, needs no network and runs no script; print it from a browser. Runs that are not finished are shown
as far as they came. Several runs are compared: means and deviations over seeds, the paper's claims.

Examples:
  nlora report runs/20260131-174502-run-n-lora-s42
  nlora report runs/n-lora runs/o-lora -o comparison.html --figures figures
  nlora report studies/mini -o study.html`;

const scaleOption = () =>
  new Option("--scale <scale>", "the paper's size, or one for the bundled model")
    .choices(["paper", "mini"])
    .default("paper");

const DOWNLOAD_HELP = `
Files go into the cache that huggingface_hub uses, and are checked by their hashes. train, generate and the like fetch by
themselves what a config names; download is for doing it beforehand. Only what is needed is fetched, never pickles.

Environment: HF_TOKEN (private and gated repositories), HF_HOME or HF_HUB_CACHE (where), HF_HUB_OFFLINE=1 (cache only),
HF_ENDPOINT (another hub).

Examples:
  nlora download google/flan-t5-base
  nlora download meta-llama/Llama-3.2-1B@main
  nlora download fancyzhx/ag_news --dataset`;

const UI_HELP = `
Open the address that is printed: its token lets this browser in. Runs started from the dashboard end with it, after their
step (Ctrl+C; a second one ends them at once), and can be resumed. See docs/dashboard.md.

Examples:
  nlora ui
  nlora ui --runs studies/mini --port 8600
  nlora train run.yaml --ui                     the run alone, while it is trained`;

const PREVIEW_HELP = `
Nothing is trained and no weights are read. Examples:
  nlora data preview run.yaml --task support --rows 5
  nlora data preview reviews.csv --model ./flan-t5-base
  nlora data preview pairs.parquet --set "data.tasks.0.columns={input: body, output: stars}"`;

/** The whole command line; `finish` receives the exit code of the command that ran. */
function program(finish: (code: ExitCode) => void): Command {
  const root = new Command("nlora")
    .description("Continual fine-tuning of language models: N-LoRA and the methods it is compared with.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text) })
    .showHelpAfterError("hint: nlora --help lists commands and options")
    .addHelpText("after", EXAMPLES);

  root
    .command("train")
    .description(
      "train one model on a sequence of tasks, test every task after every task, and measure what is kept",
    )
    .argument("[config]", "YAML file with the settings; with --resume, the run folder's own by default")
    .option("--data <dir>", "folder of the benchmark data (sets data.root)")
    .option("--out <dir>", "run folder (default: runs/<date-time>-<name>-<method>-s<seed>)")
    .option("--resume <dir>", "go on with the interrupted run in this folder")
    .option(
      "--set <key=value>",
      "change one setting, key as listed below, value in YAML; may be repeated",
      collect,
    )
    .option("--seed <n>", "seed of the run (sets seed)")
    .option("--log <logger>", LOG_OPTION, collect)
    .option("--quiet", "no progress, only the result")
    .option("--json", "events as NDJSON on stdout, the record as the last line")
    .option("--ui", "show the run in a browser while it goes on, at the address printed")
    .addHelpText("after", TRAIN_HELP)
    .action(async (config, options) =>
      finish(await (await import("./commands/train.js")).train(config, options)),
    );

  root
    .command("demo")
    .description(
      "train the bundled model on four bundled tasks with n-lora, o-lora and seq-lora, and compare them",
    )
    .option("--out <dir>", "folder of the three runs (default: runs/<date-time>-demo)")
    .option("--quick", "a few steps only, to see that everything works")
    .option("--quiet", "no progress, only the result")
    .option("--json", "events as NDJSON on stdout, each run's record after them")
    .action(async (options) => finish(await (await import("./commands/demo.js")).demo(options)));

  const data = root.command("data").description("look at data before training").helpCommand(false);
  data
    .command("preview")
    .description(
      "print how data is read and what the model will see: first rows with special tokens, labels, lengths, cuts, duplicates",
    )
    .argument("<config|file>", "config (.yaml), data file or folder, or dataset (org/name)")
    .option("--model <model>", "the model whose tokenizer and chat template to use (sets model)")
    .option("--task <name>", "only this task")
    .option("--rows <n>", "training rows to print of each task", "3")
    .option("--data <dir>", "folder of the benchmark data (sets data.root)")
    .option("--set <key=value>", "change one setting, as for train; may be repeated", collect)
    .option("--json", "one JSON object on stdout")
    .addHelpText("after", PREVIEW_HELP)
    .action(async (target, options) =>
      finish(await (await import("./commands/data.js")).preview(target, options)),
    );

  root
    .command("download")
    .description("fetch a model, adapter or dataset from the Hugging Face hub and print its folder")
    .argument("<name>", "org/name, or org/name@revision (branch, tag or commit)")
    .option("--dataset", "the name is a dataset's")
    .option("--quiet", "no progress, only the folder")
    .option("--json", "progress as NDJSON on stdout, the folder as the last line")
    .addHelpText("after", DOWNLOAD_HELP)
    .action(async (name, options) =>
      finish(await (await import("./commands/download.js")).download(name, options)),
    );

  addInspectCommand(root, finish);

  root
    .command("ui")
    .description("show runs in a browser: watch, compare, start, stop and resume them")
    .option("--runs <dir>", "folder whose runs are shown, and where new ones are made", "runs")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port; 0: a free one", wholeNumber("--port", { min: 0, max: 65535 }), 0)
    .addHelpText("after", UI_HELP)
    .action(async (options) => finish(await (await import("./commands/ui.js")).ui(options)));

  const exported = root
    .command("export")
    .description(
      "write a run's state, or adapter folders added up, for PEFT, vLLM, llama.cpp or transformers",
    )
    .argument("<run|adapter...>", "one run folder, or PEFT adapter folders")
    .requiredOption(
      "--format <format>",
      "peft: one adapter folder, or the soft prompt of a method that trains one; gguf-lora: a file for llama.cpp; hf: merged model",
    )
    .requiredOption("--out <dir>", "folder to write, which must not be there yet")
    .option("--task <k|name>", "state after this task of the run (default: the last one finished)")
    .option("--delta", "the task's own update alone, instead of everything up to it")
    .option(
      "--base <model>",
      "base model: a folder, a hub name, or builtin (default: the run's); peft needs none",
    );
  mergeOptions(exported).action(async (paths, options) =>
    finish(await (await import("./commands/export.js")).exportAdapters(paths, options)),
  );

  const merged = root
    .command("merge")
    .description("add adapters to the weights of their base model and compare the logits of both")
    .argument("<base>", "base model: a folder, a hub name, or builtin")
    .argument("<adapter...>", "PEFT adapter folders, or one run folder")
    .requiredOption("--out <dir>", "folder to write, which must not be there yet");
  mergeOptions(merged).action(async (base, adapters, options) =>
    finish(await (await import("./commands/export.js")).merge(base, adapters, options)),
  );

  root
    .command("compare")
    .description("print the metrics of several runs side by side")
    .argument("<run...>", "run folders")
    .option("--json", "the records as one JSON array on stdout")
    .action(async (folders, options) =>
      finish(await (await import("./commands/compare.js")).compare(folders, options)),
    );

  root
    .command("log")
    .description("write finished or running runs as curves for TensorBoard, as CSV, or to an MLflow server")
    .argument("<run...>", "run folders")
    .requiredOption("--to <logger>", "tensorboard, csv or mlflow=URL; may be repeated", collect)
    .option("--out <dir>", "folder for the files of all runs, instead of each run's own")
    .addHelpText("after", LOG_HELP)
    .action(async (folders, options) =>
      finish(await (await import("./commands/log.js")).log(folders, options)),
    );

  root
    .command("report")
    .description("write one HTML file on runs or a study: settings, data, losses, tables, figures, cost")
    .argument("<run...>", "run folders, the folder of a study, or record.json files")
    .option("-o, --out <file>", "the file to write (default: report.html)")
    .option("--figures <dir>", "write every figure as .svg and its numbers as .csv; alone: no report")
    .option(
      "--no-adapters",
      "measure no adapters, which loads the engine and takes its time with large models",
    )
    .addHelpText("after", REPORT_HELP)
    .action(async (paths, options) =>
      finish(await (await import("./commands/report.js")).report(paths, options)),
    );

  root
    .command("preset")
    .description("print one of the paper's settings as a config, to train as it stands or changed")
    .argument("<order>", "order-1 to order-6 (T5), llama-1 to llama-3")
    .option("--method <name>", "the method", "n-lora")
    .addOption(scaleOption())
    .addOption(
      new Option("--source <source>", "values of the paper, or of the released scripts")
        .choices(["paper", "released"])
        .default("paper"),
    )
    .addOption(
      new Option("--protocol <protocol>", "epochs, batch and rate as for all methods, or the method's own")
        .choices(["equal", "own"])
        .default("equal"),
    )
    .action(async (order, options) =>
      finish(await (await import("./commands/study.js")).printPreset(order, options)),
    );

  root
    .command("study")
    .description("train an experiment of the paper: methods x orders x seeds, and one summary")
    .argument("<name>", "a study; listed below")
    .addOption(scaleOption())
    .option("--data <dir>", "folder of the benchmark data")
    .option("--out <dir>", "folder of the runs and the summary (default: studies/<scale>)")
    .option("--methods <a,b>", "only these rows")
    .option("--orders <a,b>", "only these orders")
    .option("--seeds <1,2>", "these seeds")
    .option("--jobs <n>", "runs at the same time", "1")
    .option("--set <key=value>", "change one setting of all runs; may be repeated", collect)
    .option("--log <logger>", LOG_OPTION, collect)
    .option("--plan", "print what would be trained, and train nothing")
    .option("--summary", "only write the summary of what has been trained")
    .option("--quiet", "no progress, only the summary")
    .option("--json", "the summary as JSON on stdout")
    .addHelpText("after", STUDY_HELP)
    .action(async (name, options) =>
      finish(await (await import("./commands/study.js")).study(name, options)),
    );

  addInferenceCommands(root, collect, finish);

  root
    .command("doctor")
    .description("print engine version, build flags, BLAS, threads, vector extensions, devices and backends")
    .option("--json", "one JSON object on stdout")
    .action(async (options) => finish(await (await import("./commands/doctor.js")).doctor(options)));
  for (const command of [...root.commands, ...data.commands]) {
    const name = command.parent === data ? `data ${command.name()}` : command.name();
    command.showHelpAfterError(`hint: nlora ${name} --help lists its arguments and options`);
  }
  return root;
}

/** What both commands that merge take. */
function mergeOptions(command: Command): Command {
  return command
    .option(
      "--dtype <type>",
      "float32, bfloat16 or float16 (default: as the base; of a GGUF adapter: float32)",
    )
    .option("--rank <k>", "bring the sum of the adapters down to this rank, and compare the logits of both")
    .option(
      "--rank-error <share>",
      "the same with the smallest ranks that lose at most this share of the norm",
    )
    .option("--max-shard-size <size>", "largest weight file of a merged model (default: 5GB)")
    .option(
      "--probe <file>",
      "prompts to compare logits on, one a line, or JSON Lines with input or prompt; with output, right answers too",
    )
    .option("--no-probe", "compare nothing")
    .option(
      "--probe-dtype <type>",
      "what the comparison computes in: float32 (default) or bfloat16, for less memory",
    )
    .option(
      "--tolerance <share>",
      "largest logit difference, as a share of the adapters' own effect (default: 0.1)",
    )
    .option("--force", "keep what differs more")
    .option("--json", "one JSON object on stdout");
}

function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

/** Runs one command line (without node and script) and returns its exit code. Errors are printed, never thrown. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  try {
    await program((result) => {
      code = result;
    }).parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    // Commander has printed its message by now; help and version arrive here as well.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const problem = reported(error);
    process.stderr.write(errorText(problem));
    return exitCodeOf(problem);
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has seen enough.
    if (error.code === "EPIPE") process.exit(EXIT.done);
    throw error;
  });
  process.exitCode = await main(process.argv.slice(2));
}
