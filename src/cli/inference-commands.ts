/** The commands that ask a model, with their options. */
import { type Command, Option } from "commander";
import type { ExitCode } from "./exit.js";
import { number, wholeNumber } from "./number-option.js";

const GENERATE_HELP = `
The model is a folder, a name on the hub (org/name), "builtin", or the folder of a run, whose last task's state is then asked
unless --task names another. Without a prompt and --file a conversation begins; it needs a model with a chat template.
Answers go to stdout, everything else to stderr.

--file takes JSON, JSON Lines, CSV or Parquet with prompts under prompt, input, question, text or sentence, or conversations
under messages; of a .txt file every line is a prompt. It prints one JSON object a line, in the file's order.

Examples:
  nlora generate runs/support "Which team answers: my invoice is wrong" --task billing
  nlora generate ./Qwen2.5-0.5B-Instruct --chat "Name three rivers." --temperature 0.7 --seed 1
  nlora generate ./flan-t5-base --adapter adapters/1-sst --adapter adapters/2-cola --file prompts.jsonl > answers.jsonl
  nlora generate builtin "What is the topic?" --beams 4 --json`;

/** Adds them; `finish` receives the exit code of the command that ran. */
export function addInferenceCommands(
  root: Command,
  collect: (value: string, earlier?: readonly string[]) => string[],
  finish: (code: ExitCode) => void,
): void {
  const generate = root
    .command("generate")
    .description("answer a prompt, the prompts of a file, or a conversation with a model or a state of a run")
    .argument("<model>", "model folder, hub name, builtin, or run folder")
    .argument("[prompt]", "the prompt")
    .option("--file <file>", "answer the prompts of this file, as JSON Lines")
    .option("--chat", "the prompt is a message: put it into the model's chat template")
    .option("--system <text>", "the system message of a conversation");
  modelOptions(generate, collect)
    .option(
      "--max-new-tokens <n>",
      "length of an answer (default: 256, or what the model has room for)",
      wholeNumber("--max-new-tokens", { min: 1 }),
    )
    .option("--temperature <t>", "0: always the likeliest token", number("--temperature", { min: 0 }), 0)
    .option("--top-k <k>", "draw from the k likeliest tokens", wholeNumber("--top-k", { min: 1 }))
    .option(
      "--top-p <p>",
      "draw from the likeliest tokens that reach this probability",
      number("--top-p", { min: 1e-6, max: 1 }),
    )
    .option(
      "--seed <n>",
      "of the random numbers (default: another one every time)",
      wholeNumber("--seed", { min: 0, max: 2 ** 32 - 1 }),
    )
    .option("--stop <text>", "text that ends an answer and is left out; may be repeated", collect)
    .option("--beams <n>", "beam search with so many beams", wholeNumber("--beams", { min: 1 }))
    .option(
      "--length-penalty <x>",
      "beam search: above 0 favours longer answers (default: 1)",
      number("--length-penalty"),
    )
    .option("--early-stopping", "beam search: end with the first <beams> finished answers")
    .option("--batch <n>", "answers written at a time", wholeNumber("--batch", { min: 1 }), 8)
    .option("--json", "one JSON object with the answer, its length and why it ended")
    .addHelpText("after", GENERATE_HELP)
    .action(async (model, prompt, options) =>
      finish(await (await import("./commands/generate.js")).generate(model, prompt, options)),
    );

  const serve = root
    .command("serve")
    .description("serve a model or all states of a run over HTTP, as OpenAI's API has completions and chats")
    .argument("<model>", "model folder, hub name, builtin, or run folder")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port; 0: a free one", wholeNumber("--port", { min: 0, max: 65535 }), 8000)
    .option("--token-file <file>", "file with the token that requests must carry (or NLORA_TOKEN)");
  modelOptions(serve, collect, false)
    .option("--batch <n>", "answers written at a time", wholeNumber("--batch", { min: 1 }), 8)
    .option(
      "--max-tokens <n>",
      "tokens in memory at a time, prompts, answers and padding together",
      wholeNumber("--max-tokens", { min: 16 }),
      16_384,
    )
    .option(
      "--max-new-tokens <n>",
      "longest answer that may be asked for",
      wholeNumber("--max-new-tokens", { min: 1 }),
      2048,
    )
    .option("--max-waiting <n>", "requests that may wait", wholeNumber("--max-waiting", { min: 0 }), 64)
    .option("--max-body <bytes>", "size of a request", wholeNumber("--max-body", { min: 1024 }), 2 ** 22)
    .addHelpText("after", SERVE_HELP)
    .action(async (model, options) =>
      finish(await (await import("./commands/serve.js")).serve(model, options)),
    );
}

const SERVE_HELP = `
Models are the base model and, of a run, its state after each task; with --adapter the model with the adapters. A request
names one in "model"; GET /v1/models lists them.

Only this machine can reach the server. For others, name an address with --host and a token: in the environment variable
NLORA_TOKEN, or in the file of --token-file. Requests then carry "Authorization: Bearer <token>".

Examples:
  nlora serve runs/support --port 8000
  curl -s localhost:8000/v1/models
  curl -s localhost:8000/v1/completions -H "Content-Type: application/json" \\
    -d '{"model": "1-billing", "prompt": "My invoice is wrong", "max_tokens": 20, "temperature": 0}'`;

function modelOptions(
  command: Command,
  collect: (value: string, earlier?: readonly string[]) => string[],
  choosesTask = true,
): Command {
  if (choosesTask) {
    command.option(
      "--task <k|name>",
      "the state of a run after this task (default: the last one; 0: the base model)",
    );
  }
  return command
    .option("--adapter <dir>", "add a PEFT adapter to the model; may be repeated", collect)
    .addOption(
      new Option("--dtype <dtype>", "of the arithmetic")
        .choices(["auto", "float32", "bfloat16"])
        .default("auto"),
    )
    .addOption(
      new Option("--device <device>", "where the model computes").choices(["cpu", "cuda"]).default("cpu"),
    )
    .option(
      "--threads <n>",
      "compute threads (default: OMP_NUM_THREADS or all cores)",
      wholeNumber("--threads", { min: 1 }),
    );
}
