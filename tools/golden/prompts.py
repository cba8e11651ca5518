"""Makes test/fixtures/golden/*/prompt.json: PEFT's prompt tuning on the tiny checkpoints that t5.py and llama.py made,
on the batches of their golden.json (float32, dropout off, eager attention). Beside it, in prompt/, what PEFT saves of it.

    python tools/golden/prompts.py
    python tools/golden/prompts.py --check t5-classic EXPORT    the loss with a folder of nlora export, and that of prompt.json

Made with torch 2.13, transformers 5.18, peft 0.21.
"""

import json
import sys

import peft
import torch
import transformers
from peft import PeftModel, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from t5 import FOLDER, numbers, write_json

POSITIONS, NEW_TOKENS = 5, 8
CASES = {
    "t5-classic": "SEQ_2_SEQ_LM",
    "t5-gated": "SEQ_2_SEQ_LM",
    "llama3-gqa": "CAUSAL_LM",
    "qwen3-norms": "CAUSAL_LM",
}


def load(name, seq2seq):
    family = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    base = family.from_pretrained(FOLDER / name, attn_implementation="eager", dtype=torch.float32)
    if seq2seq:
        # PEFT 0.21 asks for a method by the name that it had before transformers 5; it is not called here.
        base._prepare_encoder_decoder_kwargs_for_generation = None
    return base


def batch_of(golden):
    return {key: torch.tensor(golden[key]) for key in ("input_ids", "attention_mask", "labels")}


def check(name, folder):
    golden, expected = (json.loads((FOLDER / name / file).read_text()) for file in ("golden.json", "prompt.json"))
    model = PeftModel.from_pretrained(load(name, CASES[name] == "SEQ_2_SEQ_LM"), folder).eval()
    with torch.no_grad():
        print(f"PEFT with {folder}: {model(**batch_of(golden)).loss.item()}; prompt.json: {expected['loss']}")


def make(name, task_type):
    seq2seq = task_type == "SEQ_2_SEQ_LM"
    base = load(name, seq2seq)
    # One prompt, before what the encoder (of a decoder-only model: the decoder) reads.
    config = PromptTuningConfig(task_type=task_type, num_virtual_tokens=POSITIONS, num_transformer_submodules=1)
    model = get_peft_model(base, config).eval()
    prompt = model.prompt_encoder["default"].embedding.weight
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        prompt.copy_(torch.randn(prompt.shape, generator=generator) * base.get_input_embeddings().weight.std())
    model.peft_config["default"].base_model_name_or_path = name
    model.save_pretrained(FOLDER / name / "prompt")
    (FOLDER / name / "prompt" / "README.md").unlink()
    golden = json.loads((FOLDER / name / "golden.json").read_text())
    out = model(**batch_of(golden))
    out.loss.backward()
    asked = golden if seq2seq else golden["prompts"]
    answers = []
    for ids, mask in zip(asked["input_ids"], asked["attention_mask"]):
        row = torch.tensor([[token for token, flag in zip(ids, mask) if flag]])
        embedded = torch.cat([prompt.detach()[None], base.get_input_embeddings()(row)], 1)
        out_row = base.generate(
            inputs_embeds=embedded,
            attention_mask=torch.ones(embedded.shape[:2], dtype=torch.long),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        for scores in out_row.logits:
            first, second = scores[0].topk(2).values.tolist()
            assert first - second > 1e-3, f"{name}: two tokens are as good as equal"
        answers.append(out_row.sequences[0, -len(out_row.logits) :].tolist())
    write_json(
        FOLDER / name / "prompt.json",
        {
            "about": (
                f"transformers {transformers.__version__}, peft {peft.__version__}, "
                f"torch {torch.__version__.split('+')[0]}, float32, dropout off, on the batch of golden.json. prompt: "
                "[positions, width]; gradient: of the loss with respect to it; greedy_ids: each row (decoder-only: each "
                "of the prompts) answered alone, at most max_new_tokens ids, the end token kept."
            ),
            "prompt": numbers(prompt.detach()),
            "loss": numbers(out.loss.detach()),
            "gradient": numbers(prompt.grad),
            "max_new_tokens": NEW_TOKENS,
            "greedy_ids": answers,
        },
    )
    print(name, out.loss.item(), answers)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(*sys.argv[2:])
    else:
        for each in CASES.items():
            make(*each)
