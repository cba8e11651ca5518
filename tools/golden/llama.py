"""Makes test/fixtures/golden/{llama-classic,llama3-gqa,mistral-gqa,qwen2-biases,qwen3-norms}: tiny random decoder-only
checkpoints in the Hugging Face folder layout, a PEFT adapter in adapter/ and, in golden.json, what transformers and PEFT
compute with them (float32, dropout off, eager attention); and rope.json: inverse frequencies of every kind of RoPE scaling.

    python tools/golden/llama.py [OUTPUT_FOLDER]

Made with torch 2.13, transformers 5.18, peft 0.21, safetensors 0.8. Norm scales and biases differ from their usual
starting values, and a short training run makes generation give varied ids with clear margins.
"""

import json
import pathlib
import shutil
import sys

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from lora import adapted
from t5 import FOLDER, numbers, write_checkpoint, write_json

VOCABULARY, PAD, BOS, EOS, IGNORED = 80, 0, 1, 2, -100
NEW_TOKENS, BEAMS = 10, 4
RANK, ALPHA = 4, 8

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-06,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "use_cache": True,
}
# Old layout (rope_theta, rope_scaling, torch_dtype) and new (rope_parameters, dtype) as transformers wrote and writes them.
CASES = {
    "llama-classic": {
        "config": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **COMMON,
            "max_position_embeddings": 64,
            "pad_token_id": -1,
            "rms_norm_eps": 1e-05,
            "rope_scaling": None,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
        },
        "targets": ["q_proj", "v_proj"],
    },
    "llama3-gqa": {
        "config": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **COMMON,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "eos_token_id": [EOS, 3],
            "max_position_embeddings": 64,
            "attention_bias": True,
            "mlp_bias": True,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
            "tie_word_embeddings": True,
            "dtype": "float32",
        },
        "targets": ["q_proj", "v_proj"],
    },
    "mistral-gqa": {
        "config": {
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            **COMMON,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "max_position_embeddings": 64,
            "rope_theta": 10000.0,
            "sliding_window": 5,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
        },
        "targets": ["q_proj", "v_proj"],
    },
    "qwen2-biases": {
        "config": {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            **COMMON,
            "num_key_value_heads": 2,
            "max_position_embeddings": 64,
            "max_window_layers": 1,
            "rope_theta": 1000.0,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
            "sliding_window": 6,
            "use_sliding_window": True,
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
        },
        "targets": ["q_proj", "v_proj"],
    },
    "qwen3-norms": {
        "config": {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            **COMMON,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "attention_bias": False,
            "max_position_embeddings": 64,
            "max_window_layers": 2,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0},
            "sliding_window": None,
            "use_sliding_window": False,
            "tie_word_embeddings": True,
            "dtype": "float32",
        },
        "targets": ["k_proj", "o_proj", "up_proj", "down_proj"],
    },
}

# Configurations as published, for their frequencies alone.
ROPES = {
    "default": {"rope_theta": 10000.0},
    "linear": {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama3": {
        "rope_theta": 500000.0,
        "max_position_embeddings": 131072,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    },
    "yarn": {
        "rope_theta": 1000000.0,
        "max_position_embeddings": 131072,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    },
    "yarn-options": {
        "rope_theta": 150000.0,
        "max_position_embeddings": 131072,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 32.0,
            "original_max_position_embeddings": 4096,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "mscale": 1.0,
            "mscale_all_dim": 0.8,
            "truncate": False,
        },
    },
}


def draw_weights(model, seed):
    """Every parameter from one seeded stream, in the order of their names; the scale by what the parameter is."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            weights[name] = 1 + 0.2 * noise
        elif name.endswith("bias"):
            weights[name] = 0.3 * noise
        else:
            weights[name] = (0.7 if "embed_tokens" in name else 1.3 * parameter.shape[-1] ** -0.5) * noise
    return {name: weight.contiguous() for name, weight in weights.items()}


def rows(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    return [[BOS, *torch.randint(4, VOCABULARY, (length - 1,), generator=generator).tolist()] for length in lengths]


PROMPTS = rows([13, 4, 8], seed=7)
ANSWERS = [[*answer[1:], EOS] for answer in rows([7, 4, NEW_TOKENS + 3], seed=11)]


def training_batch():
    """Prompt and answer in one row, padded on the right; loss on the answer alone."""
    width = max(len(prompt) + len(answer) for prompt, answer in zip(PROMPTS, ANSWERS))
    batch = {"input_ids": [], "attention_mask": [], "labels": []}
    for prompt, answer in zip(PROMPTS, ANSWERS):
        padding = width - len(prompt) - len(answer)
        batch["input_ids"].append(prompt + answer + [PAD] * padding)
        batch["attention_mask"].append([1] * (width - padding) + [0] * padding)
        batch["labels"].append([IGNORED] * len(prompt) + answer + [IGNORED] * padding)
    return {name: torch.tensor(value) for name, value in batch.items()}


def prompt_batch():
    """The prompts, padded on the left."""
    width = max(map(len, PROMPTS))
    ids = [[PAD] * (width - len(prompt)) + prompt for prompt in PROMPTS]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in PROMPTS]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()


@torch.no_grad()
def generate(model, inputs, beams):
    """New ids per row, up to and including an end token."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "num_beams": beams, "pad_token_id": PAD}
    out = model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :].tolist()
    stops = [next((i + 1 for i, id in enumerate(ids) if id in ends), len(ids)) for ids in out]
    return [ids[:stop] for ids, stop in zip(out, stops)]


def memorise(model, limit):
    """Trains until generation follows the answers for a while, which gives clear margins and early ends."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(600):
        loss = model(**training_batch()).loss
        if loss.item() < limit:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def adapter(folder, name, targets):
    """Saves a random adapter; the loss with it and the gradients of its matrices."""
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    model = get_peft_model(load(folder / name), config).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for a, b in adapted(model).values():
            a.copy_(0.25 * torch.randn(a.shape, generator=generator))
            b.copy_(0.15 * torch.randn(b.shape, generator=generator))
    target = folder / name / "adapter"
    model.save_pretrained(target, save_embedding_layers=False)
    (target / "README.md").unlink(missing_ok=True)
    (target / "adapter_model.safetensors").chmod(0o644)
    saved = json.loads((target / "adapter_config.json").read_text())
    saved["target_modules"].sort()  # peft keeps a set: the order changes from run to run
    saved["base_model_name_or_path"] = name
    write_json(target / "adapter_config.json", saved, indent=2)
    loss = model(**training_batch()).loss
    pairs = adapted(model)
    flat = torch.autograd.grad(loss, [weight for pair in pairs.values() for weight in pair])
    gradients = {
        module: {"lora_A": numbers(flat[2 * i]), "lora_B": numbers(flat[2 * i + 1])}
        for i, module in enumerate(pairs)
    }
    return {"loss": numbers(loss.detach()), "gradients": gradients}


def make(output, name, config, targets, seed):
    shutil.rmtree(output / name, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(**{**config, "attn_implementation": "eager"}), attn_implementation="eager"
    )
    model.load_state_dict(draw_weights(model, seed), strict=False)
    model.eval()
    memorise(model, 1.0)
    weights = {key: value.clone() for key, value in model.named_parameters()}
    write_checkpoint(output / name, config, {key: value.detach() for key, value in weights.items()})
    model, exact = load(output / name), load(output / name, torch.float64)
    with torch.no_grad():
        out = model(**training_batch())
        left = model(**prompt_batch())
    generated = {}
    for kind, beams in [("greedy", 1), ("beam", BEAMS)]:
        generated[kind] = generate(model, prompt_batch(), beams)
        for row, prompt in enumerate(PROMPTS):
            alone = {"input_ids": torch.tensor([prompt]), "attention_mask": torch.ones(1, len(prompt), dtype=torch.long)}
            assert generate(model, alone, beams)[0] == generated[kind][row], f"{kind}: padding changes row {row}"
            assert generate(exact, alone, beams)[0] == generated[kind][row], f"{kind}: a margin is below rounding"
    values = {
        "about": (
            f"transformers {transformers.__version__}, peft {peft.__version__}, torch "
            f"{torch.__version__.split('+')[0]}, float32, dropout off. loss: mean over labels other than -100, each "
            "predicted from the positions before it. logits_row_2: [position, vocabulary]; logits_first_8: [batch, "
            "position, ids 0..7], null at padding. prompts: padded on the left; last_logits: of their last position. "
            "greedy_ids, beam_ids: at most max_new_tokens new ids per row, the end token kept; beams as transformers "
            "searches them by default (length penalty 1, no early stopping), best first. adapter: loss with adapter/ and "
            "the gradients of its A [r, d_in] and B [d_out, r]."
        ),
        **{key: value.tolist() for key, value in training_batch().items()},
        "loss": numbers(out.loss),
        "logits_row_2": numbers(out.logits[2]),
        "logits_first_8": numbers(out.logits[:, :, :8]),
        "prompts": {key: value.tolist() for key, value in prompt_batch().items()},
        "last_logits": numbers(left.logits[:, -1]),
        "max_new_tokens": NEW_TOKENS,
        "greedy_ids": generated["greedy"],
        "beams": BEAMS,
        "beam_ids": generated["beam"],
        "adapter": adapter(output, name, targets),
    }
    mask = training_batch()["attention_mask"]
    for row, length in enumerate(mask.sum(1).tolist()):
        values["logits_first_8"][row][length:] = [None] * (mask.shape[1] - length)
    write_json(output / name / "golden.json", values)
    print(name, "loss", values["loss"], values["adapter"]["loss"])
    print("  greedy", values["greedy_ids"])
    print("  beam  ", values["beam_ids"])


def frequencies(settings):
    config = AutoConfig.for_model(
        "llama", hidden_size=512, num_attention_heads=4, **{"max_position_embeddings": 2048, **settings}
    )
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        dim, base = 128, config.rope_parameters["rope_theta"]
        inverse, factor = 1.0 / (base ** (torch.arange(0, dim, 2, dtype=torch.float) / dim)), 1.0
    else:
        inverse, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu")
    return {"config": settings, "inverse_frequencies": numbers(inverse), "factor": factor}


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for seed, (name, case) in enumerate(CASES.items()):
        make(target, name, case["config"], case["targets"], seed + 1)
    write_json(target / "rope.json", {name: frequencies(settings) for name, settings in ROPES.items()})
