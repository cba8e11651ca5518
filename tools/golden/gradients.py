"""Makes gradients.safetensors in test/fixtures/golden/{t5-classic,t5-gated,llama3-gqa,qwen3-norms}: the gradient of the
loss of the folder's golden batch with respect to every weight, as transformers computes it (float32, dropout off).

    python tools/golden/gradients.py [OUTPUT_FOLDER]

Made with torch 2.13, transformers 5.18, safetensors 0.8, from the checkpoints that t5.py and llama.py wrote.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, T5ForConditionalGeneration

from t5 import FOLDER, save_weights

CASES = {
    "t5-classic": T5ForConditionalGeneration,
    "t5-gated": T5ForConditionalGeneration,
    "llama3-gqa": AutoModelForCausalLM,
    "qwen3-norms": AutoModelForCausalLM,
}


def make(name, family, output):
    golden = json.loads((FOLDER / name / "golden.json").read_text())
    model = family.from_pretrained(FOLDER / name, attn_implementation="eager", dtype=torch.float32).eval()
    inputs = {key: torch.tensor(golden[key]) for key in ("input_ids", "attention_mask", "labels")}
    loss = model(**inputs).loss
    assert abs(loss.item() - golden["loss"]) < 1e-4, (name, loss.item(), golden["loss"])
    loss.backward()
    gradients = {key: parameter.grad.contiguous() for key, parameter in model.named_parameters()}
    (output / name).mkdir(parents=True, exist_ok=True)
    save_weights(gradients, output / name / "gradients.safetensors")
    print(name, len(gradients), "weights")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for case, kind in CASES.items():
        make(case, kind, target)
