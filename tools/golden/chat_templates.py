"""Writes test/fixtures/chat-templates.json.gz: what transformers makes of conversations by chat templates.

    python tools/golden/chat_templates.py

Made with transformers 5.18. The templates are written for this file, each in the manner of a published family of
models. Every case is the files of a tokenizer's folder, a conversation and the text, or that the template refused.
The clock stands at 2024-07-03 09:05:07.
"""

import datetime
import gzip
import json
import pathlib
import tempfile

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

out = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "chat-templates.json.gz"


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 3, 9, 5, 7)


chat_template_utils.datetime = Clock

CHATML = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

LLAMA2 = """{% if messages[0]['role'] == 'system' %}
    {% set turns = messages[1:] %}
    {% set system = messages[0]['content'] %}
{% else %}
    {% set turns = messages %}
    {% set system = false %}
{% endif %}
{% for message in turns %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Roles have to alternate: user, assistant, user, ...') }}
    {% endif %}
    {% if loop.first and system != false %}
        {% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}
    {% else %}
        {% set content = message['content'] %}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {% elif message['role'] == 'assistant' %}
        {{ ' ' + content.strip() + ' ' + eos_token }}
    {% endif %}
{% endfor %}
"""

LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system message comes out of the list. #}
{%- if messages and messages[0].role == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Knowledge ends in December 2023\\nToday is " + date_string + "\\n\\n" }}
{{- system }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if message.role not in ['user', 'assistant', 'tool'] %}
        {{- raise_exception("No such role: " ~ message.role) }}
    {%- endif %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"] | trim + eos_token }}
    {%- endif %}
{%- endfor %}
"""

QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\nTools: ' }}
    {%- for tool in tools %}{{ tool | tojson }}{% endfor %}
    {{- '<|im_end|>\\n' }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# Reasoning parts are cut out of earlier answers; looks from the end for the last question.
QWEN3 = """{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning = '' %}
        {%- if '</think>' in message.content %}
            {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
            {%- set reasoning = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or reasoning) %}
            {{- '<|im_start|>assistant\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{% generation %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endgeneration %}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"""

FEATURES = """{%- macro tagged(name, text='-') -%}
    <{{ name }}>{{ text }}</{{ name }}>
{%- endmacro -%}
   {% set seen = [] %}
  {# A comment on a line of its own. #}
{%- for message in messages if message.role != 'tool' %}
  {%- if loop.index0 == 3 %}{% break %}{% endif %}
  {%- if message.content | length == 0 %}{% continue %}{% endif %}
  {{ loop.index }}/{{ loop.length }} {{ message | tojson }}
  {{ tagged(message.role, message.content | upper | replace('A', 'b')) }}
  {{ message.content.split() | length }} {{ message.content.split(' ') | first }} {{ message.content.split() | last }}
{%- else %}
  nobody spoke
{%- endfor %}
{{ messages | map(attribute='role') | unique | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{{ 'yes' if tools is none and documents is none else 'no' }} {{ unknown | default('absent') }} {{ range(2, 9, 3) | list }} {{ (7 / 2) | int }} {{ 7 // 2 }} {{ 7 % 4 }}
{{ messages[-1].content[:3] ~ '|' ~ messages[-1].content[-2:] }} {{ {'b': [1, 2.5, true, none], 'a': 'é<&>"'} | tojson }} {{ {'b': 1, 'a': [2]} | tojson(indent=2, sort_keys=true) }}
{{ strftime_now('%A %a %B %b %d %m %Y %y %H:%M:%S %I %p %%') }} {{ 'a-b'.title() }}
{{ pad_token }}{{ unk_token }}{{ sep_token }}!
"""

CONVERSATIONS = {
    "question": [{"role": "user", "content": "Who wrote it?"}],
    "system": [{"role": "system", "content": "  Be brief.\n"}, {"role": "user", "content": "Hi there "}],
    "turns": [
        {"role": "system", "content": "You are a poet."},
        {"role": "user", "content": "  A line, please.\n\nAbout rain \U0001f327\ufe0f and \u96e8.  "},
        {"role": "assistant", "content": " It \"falls\" & <falls>\t'softly'\\n. \n"},
        {"role": "user", "content": "Another:\r\n{{ bos_token }} {% raw %} </s> <|im_end|> e\u0301"},
    ],
    "answered": [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "<think>\n\nadd\n</think>\n\n2"},
        {"role": "user", "content": "And 2 + 2?"},
        {"role": "assistant", "content": "<think>\nadd again\n</think>\n\n4"},
    ],
    "two questions": [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}],
    "stranger": [{"role": "narrator", "content": "Long ago"}, {"role": "user", "content": ""}],
    "tool": [{"role": "user", "content": "Weather?"}, {"role": "tool", "content": "[\"rain\"]"}, {"role": "assistant", "content": "Rain."}],
}

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
LLAMA3_TOKENS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
CHATML_TOKENS = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
OPTIONS = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, "__type": "AddedToken"}

# Each folder: tokenizer_config.json and other files.
FOLDERS = {
    "chatml": {"tokenizer_config.json": {**CHATML_TOKENS, "chat_template": CHATML}},
    "llama-2": {"tokenizer_config.json": {**{role: {"content": text, **OPTIONS} for role, text in TOKENS.items()}, "chat_template": LLAMA2}},
    "llama-3": {"tokenizer_config.json": LLAMA3_TOKENS, "chat_template.jinja": LLAMA3},
    "mistral": {"tokenizer_config.json": {**TOKENS, "chat_template": [{"name": "default", "template": MISTRAL}, {"name": "tool_use", "template": "never"}]}},
    "qwen": {"tokenizer_config.json": {**CHATML_TOKENS, "chat_template": QWEN}},
    "qwen3": {"tokenizer_config.json": {**CHATML_TOKENS, "chat_template": "the file wins"}, "chat_template.jinja": QWEN3},
    "zephyr": {"tokenizer_config.json": {**TOKENS, "chat_template": ZEPHYR}},
    "gemma": {"tokenizer_config.json": {"bos_token": "<bos>", "eos_token": "<eos>", "chat_template": GEMMA}},
    "features": {"tokenizer_config.json": {**TOKENS, "chat_template": FEATURES}},
}


def main():
    cases = []
    for name, files in FOLDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            for file, content in files.items():
                pathlib.Path(folder, file).write_text(content if isinstance(content, str) else json.dumps(content), newline="")
            Tokenizer(models.BPE()).save(f"{folder}/tokenizer.json")
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        results = []
        for conversation, messages in CONVERSATIONS.items():
            for prompt in (False, True):
                variables = {"enable_thinking": False} if name == "qwen3" and conversation == "question" else {}
                case = {"conversation": conversation, "addGenerationPrompt": prompt, "variables": variables}
                try:
                    case["text"] = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt, **variables)
                except Exception as error:
                    case["refusal"] = str(error)
                results.append(case)
        cases.append({"name": name, "files": files, "cases": results})
    fixture = {"conversations": CONVERSATIONS, "folders": cases}
    out.write_bytes(gzip.compress(json.dumps(fixture, ensure_ascii=False).encode(), 9, mtime=0))
    print(sum(len(each["cases"]) for each in cases), "cases,", sum("refusal" in case for each in cases for case in each["cases"]), "refused")


main()
