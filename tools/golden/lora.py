"""Makes test/fixtures/golden/lora-peft: a PEFT LoRA adapter (q and v, r 4, alpha 8) on t5-classic and, in golden.json,
what PEFT and torch compute with it (float32, dropout off). Run tools/golden/t5.py first.

    python tools/golden/lora.py [OUTPUT_FOLDER]      make the fixture
    python tools/golden/lora.py sums                 make test/fixtures/golden/lora-sums: adapters that PEFT wrote with
                                                     rsLoRA, rank_pattern and alpha_pattern, and what it computes from
                                                     folders that `nlora export` wrote (build first: npm run build)
    python tools/golden/lora.py check ADAPTER_FOLDER load an adapter folder on t5-classic with PEFT and print, as one
                                                     JSON object, the loss of the golden batch and the modules loaded

Made with torch 2.13, transformers 5.18, peft 0.21.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import warnings

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file

from transformers import AutoModelForCausalLM

from t5 import CLASSIC, FOLDER, batch, load, numbers, write_json

RANK, ALPHA = 4, 8
LAMBDA = 0.05
LEARNING_RATE, CLIP = 1e-2, 1.0
STEPS = 3
SHOWN = ("encoder.block.0.layer.0.SelfAttention.q", "decoder.block.1.layer.1.EncDecAttention.v")
PREFIX = "base_model.model."


def adapted(model):
    """The adapted modules by their name in the base model, in traversal order: {name: (A, B)}."""
    out = {}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            out[name.removeprefix(PREFIX)] = (module.lora_A["default"].weight, module.lora_B["default"].weight)
    return out


def draw_adapter(model):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for a, b in adapted(model).values():
            a.copy_(0.25 * torch.randn(a.shape, generator=generator))
            b.copy_(0.15 * torch.randn(b.shape, generator=generator))


def task(model):
    input_ids, attention_mask, labels = batch(seed=7)
    return model(input_ids=input_ids, attention_mask=attention_mask, labels=labels)


def penalty(model):
    return sum((b @ a).abs().sum() for a, b in adapted(model).values())


def gradients(model, value):
    pairs = adapted(model)
    flat = torch.autograd.grad(value, [weight for pair in pairs.values() for weight in pair])
    return {
        name: {"lora_A": numbers(flat[2 * i]), "lora_B": numbers(flat[2 * i + 1])} for i, name in enumerate(pairs)
    }


def train(model):
    """Three AdamW steps on the golden batch: total = loss + LAMBDA * sum |BA|, clipped to norm 1."""
    trainable = [weight for pair in adapted(model).values() for weight in pair]
    optimizer = torch.optim.AdamW(trainable, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    steps = []
    for _ in range(STEPS):
        loss, extra = task(model).loss, penalty(model)
        optimizer.zero_grad()
        (loss + LAMBDA * extra).backward()
        norm = torch.nn.utils.clip_grad_norm_(trainable, CLIP)
        optimizer.step()
        pairs = adapted(model)
        steps.append(
            {
                "loss": numbers(loss.detach()),
                "penalty": numbers(extra.detach()),
                "gradient_norm": numbers(norm),
                "after": {
                    name: {"lora_A": numbers(pairs[name][0].detach()), "lora_B": numbers(pairs[name][1].detach())}
                    for name in SHOWN
                },
            }
        )
    return steps


def make(output):
    base = load(FOLDER / "t5-classic", CLASSIC)
    base.name_or_path = base.config._name_or_path = "t5-classic"
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q", "v"], lora_dropout=0.0)
    config.base_model_name_or_path = "t5-classic"
    model = get_peft_model(base, config).eval()
    draw_adapter(model)
    folder = output / "lora-peft"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)
    saved = json.loads((folder / "adapter_config.json").read_text())
    saved["target_modules"].sort()  # peft keeps a set: the order changes from run to run
    write_json(folder / "adapter_config.json", saved, indent=2)
    assert saved["base_model_name_or_path"] == "t5-classic", saved["base_model_name_or_path"]

    out = task(model)
    with torch.no_grad(), model.disable_adapter():
        plain = task(model).loss
    values = {
        "about": (
            f"peft {peft.__version__}, transformers {transformers.__version__}, "
            f"torch {torch.__version__.split('+')[0]}, float32, dropout off; "
            "batch and base model of ../t5-classic. lora_A is A [r, d_in], lora_B is B [d_out, r], "
            "y = W x + (alpha / r) B A x. loss, logits_row_0 [target, vocabulary] and gradients: the task loss with the "
            "adapter. penalty: per module sum |B A| (unscaled) and its gradient. steps: total = loss + lambda * "
            "sum over modules of sum |B A|; gradient clipped to global norm clip (coefficient min(1, clip / (norm + "
            "1e-6))), then AdamW; loss and penalty are taken before the step's update, gradient_norm before clipping, "
            "after: two modules after the update."
        ),
        "rank": RANK,
        "alpha": ALPHA,
        "loss_without_adapter": numbers(plain),
        "loss": numbers(out.loss.detach()),
        "logits_row_0": numbers(out.logits[0].detach()),
        "gradients": gradients(model, out.loss),
        "penalty": {
            "sums": {name: numbers((b @ a).abs().sum().detach()) for name, (a, b) in adapted(model).items()},
            "gradients": gradients(model, penalty(model)),
        },
        "training": {
            "lambda": LAMBDA,
            "clip": CLIP,
            "learning_rate": LEARNING_RATE,
            "betas": [0.9, 0.999],
            "eps": 1e-8,
            "weight_decay": 0.0,
            "steps": train(model),
        },
    }
    write_json(folder / "golden.json", values)
    print(json.dumps({**check(folder), "golden": values["loss"]}))
    print([(s["loss"], s["penalty"], s["gradient_norm"]) for s in values["training"]["steps"]], plain.item())


def check(folder):
    """The golden batch's loss with the adapter of `folder`, as PEFT reads it; fails on unused or missing tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        base = load(FOLDER / "t5-classic", CLASSIC)
        model = PeftModel.from_pretrained(base, folder).eval()
    written = load_file(pathlib.Path(folder) / "adapter_model.safetensors")
    loaded = get_peft_model_state_dict(model, save_embedding_layers=False)
    assert written.keys() == loaded.keys(), f"not loaded or missing: {sorted(written.keys() ^ loaded.keys())}"
    assert all(torch.equal(written[name].float(), loaded[name].float()) for name in written), "values differ"
    with torch.no_grad():
        loss = task(model).loss
    pairs = adapted(model)
    return {"loss": numbers(loss), "modules": len(pairs), "rank": next(iter(pairs.values()))[0].shape[0]}


def write_adapter(base, config, folder, seed):
    """An adapter with drawn factors, as PEFT saves it; returns the base model without it."""
    model = get_peft_model(base, config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for a, b in adapted(model).values():
            a.copy_(0.3 * torch.randn(a.shape, generator=generator))
            b.copy_(0.2 * torch.randn(b.shape, generator=generator))
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "adapter_model.safetensors").chmod(0o644)
    saved = json.loads((folder / "adapter_config.json").read_text())
    saved["target_modules"].sort()
    write_json(folder / "adapter_config.json", saved, indent=2)
    return model.unload()


def load_causal(name):
    folder = FOLDER / name
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    golden = json.loads((folder / "golden.json").read_text())
    inputs = {key: torch.tensor(golden[key]) for key in ("input_ids", "attention_mask", "labels")}
    return model, lambda model: model(**inputs)


def export(folder, *adapters):
    """What `nlora export` writes for adapters: their sum as one folder."""
    shutil.rmtree(folder, ignore_errors=True)
    program = pathlib.Path(__file__).resolve().parents[2] / "dist" / "cli" / "main.js"
    subprocess.run(
        ["node", program, "export", *adapters, "--format", "peft", "--out", folder], check=True, stdout=subprocess.DEVNULL
    )
    (folder / "README.md").unlink()


def make_sums():
    """On t5-classic and llama3-gqa: one adapter with patterns and rsLoRA (alone: a delta), and its sum with another."""
    output = FOLDER / "lora-sums"
    shutil.rmtree(output, ignore_errors=True)
    cases = {
        "t5-classic": {
            "other": FOLDER / "lora-peft",
            "config": LoraConfig(
                r=3,
                lora_alpha=5,
                use_rslora=True,
                target_modules=["q", "o", "wi"],
                rank_pattern={"o": 2, "encoder.block.1.layer.1.DenseReluDense.wi": 1},
                alpha_pattern={"q": 7, "encoder.block.0.layer.0.SelfAttention.o": 2},
            ),
        },
        "llama3-gqa": {
            "other": FOLDER / "llama3-gqa" / "adapter",
            "config": LoraConfig(
                r=2, lora_alpha=6, target_modules=["k_proj", "q_proj", "down_proj"], rank_pattern={"k_proj": 4}
            ),
        },
    }
    values = {"about": f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32, dropout off: loss of the base model's golden batch. given: with the adapter that PEFT wrote; delta: with what nlora export made of it; sum: with what it made of that one and another; together: with both of those active in PEFT. sums are of ../lora-peft or the base's own adapter/ and given."}
    for name, case in cases.items():
        folder = output / name
        case["config"].base_model_name_or_path = name
        base, run = (load(FOLDER / name, CLASSIC), task) if name == "t5-classic" else load_causal(name)
        base.name_or_path = base.config._name_or_path = name
        write_adapter(base, case["config"], folder / "given", 11)
        export(folder / "delta", folder / "given")
        export(folder / "sum", case["other"], folder / "given")

        def loss(*adapters):
            base = load(FOLDER / name, CLASSIC) if name == "t5-classic" else load_causal(name)[0]
            model = PeftModel.from_pretrained(base, adapters[0], adapter_name="0")
            for index, adapter in enumerate(adapters[1:], 1):
                model.load_adapter(adapter, adapter_name=str(index))
            model.base_model.set_adapter([str(index) for index in range(len(adapters))])
            with torch.no_grad():
                return numbers(run(model.eval()).loss)

        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            values[name] = {
                "given": loss(folder / "given"),
                "delta": loss(folder / "delta"),
                "sum": loss(folder / "sum"),
                "together": loss(case["other"], folder / "given"),
            }
        print(name, values[name])
    write_json(output / "golden.json", values)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if len(sys.argv) == 3 and sys.argv[1] == "check":
        print(json.dumps(check(pathlib.Path(sys.argv[2]))))
    elif sys.argv[1:] == ["sums"]:
        make_sums()
    else:
        make(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
