import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { CheckpointError, DataError } from "../errors.js";
import { packageRoot } from "../tensor/native.js";
import { type ChatMessage, ChatTemplate } from "./chat-template.js";

type Files = Readonly<Record<string, string | object>>;

interface Fixture {
  readonly conversations: Readonly<Record<string, readonly ChatMessage[]>>;
  readonly folders: readonly {
    readonly name: string;
    readonly files: Files;
    readonly cases: readonly {
      readonly conversation: string;
      readonly addGenerationPrompt: boolean;
      readonly variables: Readonly<Record<string, unknown>>;
      readonly text?: string;
      readonly refusal?: string;
    }[];
  }[];
}

const path = join(packageRoot, "test/fixtures/chat-templates.json.gz");
const fixture = JSON.parse(gunzipSync(readFileSync(path)).toString()) as Fixture;

const made: string[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

function folderWith(files: Files): string {
  const folder = mkdtempSync(join(tmpdir(), "nlora-chat-"));
  made.push(folder);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

const hello: readonly ChatMessage[] = [{ role: "user", content: "Hello" }];
const render = (template: string, messages = hello): string =>
  new ChatTemplate(template, "t").render(messages, { addGenerationPrompt: true });

describe("ChatTemplate", () => {
  it.each(fixture.folders)("renders conversations as transformers does: $name", ({ files, cases }) => {
    vi.useFakeTimers({ now: new Date(2024, 6, 3, 9, 5, 7) });
    const template = ChatTemplate.fromFolder(folderWith(files))!;
    expect(cases.length).toBeGreaterThan(10);
    for (const { conversation, addGenerationPrompt, variables, text, refusal } of cases) {
      const rendered = () =>
        template.render(fixture.conversations[conversation]!, { addGenerationPrompt, variables });
      if (refusal === undefined) expect(rendered(), conversation).toBe(text);
      else expect(rendered, conversation).toThrow(`refuses these messages: ${refusal}`);
    }
  });

  it("finds none where no file has one", () => {
    expect(ChatTemplate.fromFolder(folderWith({}))).toBeNull();
    expect(
      ChatTemplate.fromFolder(folderWith({ "tokenizer_config.json": { eos_token: "</s>" } })),
    ).toBeNull();
  });

  it("reads chat_template.json where nothing else has one, and the token names of older folders", () => {
    const folder = folderWith({
      "chat_template.json": { chat_template: "{{ bos_token }}{{ messages[0].content }}" },
      "special_tokens_map.json": { bos_token: { content: "<s>", lstrip: false } },
    });
    const template = ChatTemplate.fromFolder(folder)!;
    expect(template.render(hello, { addGenerationPrompt: false })).toBe("<s>Hello");
  });

  it("says what is wrong with a folder's template", () => {
    const read = (files: Files) => () => ChatTemplate.fromFolder(folderWith(files));
    expect(read({ "tokenizer_config.json": { chat_template: 3 } })).toThrow(
      "tokenizer_config.json: chat_template is 3; expected a string",
    );
    expect(read({ "tokenizer_config.json": { chat_template: [{ name: "rag", template: "x" }] } })).toThrow(
      'expected one of the templates to be named "default", found rag',
    );
    expect(read({ "chat_template.jinja": "{% for x in messages %}" })).toThrow(CheckpointError);
    expect(read({ "chat_template.jinja": "{{ messages" })).toThrow(
      /^chat_template.jinja: the chat template cannot be read: [^\n]+$/,
    );
    expect(read({ "chat_template.jinja": "x".repeat(1_000_001) })).toThrow("expected at most 1000000");
  });

  it("refuses a loop that would lose what it printed, and no other", () => {
    const loop = (body: string) => () => render(`{% for m in messages %}${body}{% endfor %}`);
    expect(loop("{{ m.role }}{% if m.content %}{% break %}{% endif %}")).toThrow("would lose that text");
    expect(loop("{% if m.role %}x{% endif %}{% if 0 %}{% else %}{% continue %}{% endif %}")).toThrow(
      "would lose that text",
    );
    expect(loop("{% if m.role == 'user' %}{% break %}{% endif %}{{ m.content }}")()).toBe("");
    expect(
      loop(
        "{% if not m.role %}{{ raise_exception('no') }}{% endif %}{% set x = 1 %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}",
      )(),
    ).toBe("1");
  });

  it("reports a template that fails on the messages in one line", () => {
    expect(() => render("{{ messages[0].content + 1.5 * none }}")).toThrow(DataError);
    expect(() => render("{{ raise_exception('no\nsuch   thing') }}")).toThrow(
      /^t: the chat template refuses these messages: no such thing$/,
    );
    expect(() => render("{{ nowhere() }}")).toThrow(/^t: the chat template failed: [^\n]+$/);
  });

  it("stops a template that would not end, or that makes too much", () => {
    const endless =
      "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}";
    const template = new ChatTemplate(endless, "t", {}, 50);
    expect(() => template.render(hello, { addGenerationPrompt: false })).toThrow("timed out after 50ms");
    expect(() => render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")).toThrow(DataError);
    expect(() => render("{{ range(100001) | length }}")).toThrow("at most 100000");
    const doubling =
      "{% set n = namespace(x='ab') %}{% for i in range(24) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}";
    expect(() => render(doubling)).toThrow("made 33554432 characters; expected at most 20000000");
    expect(render("{{ messages[0].content }}")).toBe("Hello");
  });

  it("gives a template nothing but the conversation", () => {
    expect(
      render(
        "{{ messages.constructor }}{{ process }}{{ messages[0].__proto__ }}{{ raise_exception.constructor }}",
      ),
    ).toBe("");
    expect(
      render("{{ '{{ 7 * 7 }}' }}{{ messages[0].content }}", [{ role: "user", content: "{{ 1 }}" }]),
    ).toBe("{{ 7 * 7 }}{{ 1 }}");
  });
});
