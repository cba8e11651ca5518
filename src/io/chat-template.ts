/**
 * The chat template of a model's folder: the Jinja program that turns messages into the text the model was trained on.
 * Files, variables and functions are those of transformers' `apply_chat_template` (5.18).
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createContext, Script } from "node:vm";
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { CheckpointError, DataError } from "../errors.js";
import { readExactly, withFile } from "./files.js";
import type { Field } from "./tokenizer/fields.js";
import { readJson } from "./tokenizer/read-json.js";
import { ROLES, readNamedTokens } from "./tokenizer/special-tokens.js";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface RenderOptions {
  /** Whether the text ends where the assistant's next message begins. */
  readonly addGenerationPrompt: boolean;
  /** Further variables for the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

const MAX_TEMPLATE_BYTES = 1_000_000;
const MAX_OUTPUT_CHARACTERS = 20_000_000;
/** The longest `range()`, as in Jinja's own sandbox. */
const MAX_RANGE = 100_000;
/** A template renders in well under a millisecond; this ends one that never would. */
const MAX_MILLISECONDS = 10_000;

export class ChatTemplate {
  private readonly program: ReturnType<typeof parse>;

  /**
   * @param source the template
   * @param where the file it stands in, for errors
   * @param tokens `bos_token` and the like; the template sees those that are not null
   * @throws CheckpointError when the template is too long or not well-formed
   */
  constructor(
    source: string,
    private readonly where: string,
    private readonly tokens: Readonly<Record<string, string>> = {},
    private readonly maxMilliseconds = MAX_MILLISECONDS,
  ) {
    if (source.length > MAX_TEMPLATE_BYTES) {
      throw new CheckpointError(
        `${where}: the chat template has ${source.length} characters; expected at most ${MAX_TEMPLATE_BYTES}`,
      );
    }
    try {
      this.program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
    } catch (cause) {
      throw new CheckpointError(`${where}: the chat template cannot be read: ${reason(cause)}`, {
        hint: "Expected a Jinja template with the statements, filters and functions that @huggingface/jinja has.",
        cause,
      });
    }
    if (dropsText(this.program.body as Statement[])) {
      throw new CheckpointError(
        `${where}: in the chat template a loop prints and then meets break or continue, which would lose that text`,
        { hint: "Move the break or continue in front of what the loop prints." },
      );
    }
  }

  /**
   * The template of a model's folder, or null when it has none: `chat_template.jinja`, else `chat_template` in
   * `tokenizer_config.json` (of several named ones, `default`), else `chat_template.json`.
   * @throws CheckpointError when a file is malformed, or the template itself is
   */
  static fromFolder(folder: string): ChatTemplate | null {
    const found = findTemplate(folder);
    if (found === null) return null;
    const named = readNamedTokens(folder);
    const tokens: Record<string, string> = {};
    for (const role of ROLES) {
      const text = named[role]?.text ?? null;
      if (text !== null) tokens[`${role}_token`] = text;
    }
    return new ChatTemplate(found.source, found.where, tokens);
  }

  /**
   * The text of a conversation.
   * @throws DataError when the template refuses the messages, fails on them, or does not come to an end
   */
  render(messages: readonly ChatMessage[], { addGenerationPrompt, variables }: RenderOptions): string {
    let refusal: string | undefined;
    const environment = new Environment();
    const values = {
      ...constants,
      range,
      strftime_now: strftimeNow,
      raise_exception: (message: unknown) => {
        refusal = String(message);
        throw new Error(refusal);
      },
      messages,
      tools: null,
      documents: null,
      add_generation_prompt: addGenerationPrompt,
      ...this.tokens,
      ...variables,
    };
    let text: string;
    try {
      for (const [name, value] of Object.entries(values)) environment.set(name, value);
      sandbox.run = () => String(new Interpreter(environment).run(this.program).value);
      text = call.runInContext(sandbox, { timeout: this.maxMilliseconds }) as string;
    } catch (cause) {
      const message =
        refusal === undefined
          ? `${this.where}: the chat template failed: ${reason(cause)}`
          : `${this.where}: the chat template refuses these messages: ${oneLine(refusal)}`;
      throw new DataError(message, {
        hint: `The messages' roles were: ${oneLine(messages.map(({ role }) => role).join(", ")) || "none"}.`,
        cause,
      });
    } finally {
      sandbox.run = nothing;
    }
    if (text.length > MAX_OUTPUT_CHARACTERS) {
      throw new DataError(
        `${this.where}: the chat template made ${text.length} characters; expected at most ${MAX_OUTPUT_CHARACTERS}`,
      );
    }
    return text;
  }
}

/** The parts of a statement that the check below looks at. */
interface Statement {
  readonly type: string;
  readonly body?: readonly Statement[];
  readonly alternate?: readonly Statement[];
  readonly defaultBlock?: readonly Statement[];
  readonly callee?: { readonly value?: unknown };
}

/**
 * Whether a loop prints and then, in the same turn, breaks or continues: the library drops what that turn printed,
 * where Jinja keeps it.
 */
function dropsText(statements: readonly Statement[], printedBefore = false): boolean {
  let printed = printedBefore;
  for (const statement of statements) {
    const { type, body = [], alternate = [], defaultBlock = [] } = statement;
    if (type === "Break" || type === "Continue") return printed;
    const inner = type === "If" ? printed : false;
    if ([body, alternate, defaultBlock].some((each) => dropsText(each, inner))) return true;
    printed ||= prints(statement);
  }
  return false;
}

function prints({ type, body = [], alternate = [], callee }: Statement): boolean {
  if (type === "If" || type === "For") return [...body, ...alternate].some(prints);
  return !silent.has(type) && callee?.value !== "raise_exception";
}

const silent = new Set(["Set", "Macro", "Comment", "Break", "Continue"]);

const constants = { true: true, True: true, false: false, False: false, none: null, None: null };

/** Only code that runs under a script of its own can be given a time limit. */
const nothing = (): string => "";
const sandbox = createContext({ run: nothing });
const call = new Script("run()");

interface Found {
  readonly source: string;
  readonly where: string;
}

function findTemplate(folder: string): Found | null {
  const path = join(folder, "chat_template.jinja");
  if (existsSync(path)) return { source: readText(path), where: "chat_template.jinja" };
  for (const name of ["tokenizer_config.json", "chat_template.json"]) {
    if (!existsSync(join(folder, name))) continue;
    const field = readJson(join(folder, name)).get("chat_template");
    if (field.missing) continue;
    return Array.isArray(field.value)
      ? { source: namedDefault(field), where: name }
      : { source: field.string(), where: name };
  }
  const others = join(folder, "chat_templates");
  if (existsSync(others) && readdirSync(others).length > 0) {
    throw new CheckpointError(`${folder}: there is a folder chat_templates, but no chat_template.jinja`, {
      hint: "Save the template to use as chat_template.jinja.",
    });
  }
  return null;
}

/** Of a list of named templates, the one called `default`. */
function namedDefault(list: Field): string {
  const templates = list.items();
  const names = templates.map((template) => template.get("name").string());
  const chosen = templates[names.indexOf("default")];
  if (chosen === undefined) {
    throw list.wrong(`one of the templates to be named "default", found ${names.join(", ") || "none"}`);
  }
  return chosen.get("template").string();
}

function readText(path: string): string {
  return withFile(path, (file, size) => {
    if (size > 4 * MAX_TEMPLATE_BYTES) {
      throw new CheckpointError(`${path}: ${size} bytes; expected at most ${4 * MAX_TEMPLATE_BYTES}`);
    }
    return new TextDecoder().decode(readExactly(file, 0, size, path));
  });
}

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error("range() arg 3 must not be zero");
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (length > MAX_RANGE) throw new Error(`range() of ${length} numbers; expected at most ${MAX_RANGE}`);
  return Array.from({ length }, (_, index) => from + index * step);
}

/** The local time in C's notation, with English names; directives other than these stay as they are. */
function strftimeNow(format: string): string {
  const now = new Date();
  const digits = (value: number, width = 2): string => String(value).padStart(width, "0");
  const name = (options: Intl.DateTimeFormatOptions): string => now.toLocaleString("en-US", options);
  return String(format).replace(/%([a-zA-Z%])/g, (whole, letter: string) => {
    switch (letter) {
      case "a":
        return name({ weekday: "short" });
      case "A":
        return name({ weekday: "long" });
      case "b":
        return name({ month: "short" });
      case "B":
        return name({ month: "long" });
      case "Y":
        return digits(now.getFullYear(), 4);
      case "y":
        return digits(now.getFullYear() % 100);
      case "m":
        return digits(now.getMonth() + 1);
      case "d":
        return digits(now.getDate());
      case "H":
        return digits(now.getHours());
      case "I":
        return digits(now.getHours() % 12 || 12);
      case "p":
        return now.getHours() < 12 ? "AM" : "PM";
      case "M":
        return digits(now.getMinutes());
      case "S":
        return digits(now.getSeconds());
      case "%":
        return "%";
      default:
        return whole;
    }
  });
}

const reason = (cause: unknown): string => oneLine(cause instanceof Error ? cause.message : String(cause));

const oneLine = (text: string): string => {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 300 ? `${line.slice(0, 297)}...` : line;
};
