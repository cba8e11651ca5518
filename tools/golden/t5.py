"""Makes test/fixtures/golden/{t5-classic,t5-gated,t5-gated-sharded}: tiny random T5 checkpoints in the Hugging Face
folder layout and, in golden.json, what transformers computes with them (float32, dropout off, eager attention).

    python tools/golden/t5.py [OUTPUT_FOLDER]

Made with torch 2.13, transformers 5.18, safetensors 0.8. The weights are drawn so that no score is degenerate: norm
scales differ from 1 and the position bias matters; a short training run then makes greedy decoding give varied ids
with clear margins.
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import T5Config, T5ForConditionalGeneration

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "golden"
MAX_NEW_TOKENS = 12
PAD, EOS, IGNORED = 0, 1, -100

COMMON = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "is_encoder_decoder": True,
    "vocab_size": 96,
    "d_model": 24,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-06,
    "initializer_factor": 1.0,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "decoder_start_token_id": PAD,
    "use_cache": True,
    "torch_dtype": "float32",
}
CLASSIC = {
    **COMMON,
    "num_heads": 4,
    "d_kv": 6,
    "d_ff": 64,
    "feed_forward_proj": "relu",
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "tie_word_embeddings": True,
}
GATED = {
    **COMMON,
    "num_heads": 3,
    "d_kv": 6,
    "d_ff": 32,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "tie_word_embeddings": False,
}


def draw_weights(model, seed):
    """Every parameter from one seeded stream, in the order of their names; the scale by what the parameter is."""
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    inner = config.num_heads * config.d_kv
    scales = {
        "q": (config.d_model * config.d_kv) ** -0.5,
        "k": config.d_model**-0.5,
        "v": config.d_model**-0.5,
        "o": inner**-0.5,
        "wi": config.d_model**-0.5,
        "wi_0": config.d_model**-0.5,
        "wi_1": config.d_model**-0.5,
        "wo": config.d_ff**-0.5,
        "relative_attention_bias": 0.7,
        "shared": 1.0,
        "lm_head": config.d_model**-0.5,
    }
    weights = {}
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        kind = name.split(".")[-2]
        weights[name] = 1 + 0.2 * noise if "layer_norm" in kind else 1.3 * scales[kind] * noise
    if not config.scale_decoder_outputs and "lm_head.weight" not in weights:
        noise = torch.randn(weights["shared.weight"].shape, generator=generator)
        weights["lm_head.weight"] = 1.3 * scales["lm_head"] * noise
    return {name: weight.contiguous() for name, weight in weights.items()}


def write_checkpoint(folder, config, weights, shards=1):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config, indent=2)
    if shards == 1:
        save_weights(weights, folder / "model.safetensors")
        return
    names = sorted(weights)
    size = -(-len(names) // shards)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: weights[name] for name in names[shard * size : (shard + 1) * size]}
        save_weights(part, folder / file)
        weight_map.update({name: file for name in part})
    total = sum(weight.numel() * weight.element_size() for weight in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index, indent=2)


def save_weights(weights, path):
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)


def write_json(path, value, indent=None):
    separators = None if indent else (",", ":")
    path.write_text(json.dumps(value, indent=indent, separators=separators) + "\n")


def load(folder, config):
    model = T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    tied = model.lm_head.weight.data_ptr() == model.shared.weight.data_ptr()
    assert tied == model.config.scale_decoder_outputs == config["tie_word_embeddings"], "head tied or untied wrongly"
    return model.eval()


def batch(seed, vocabulary=96):
    """Three right-padded rows; the first is long enough for the logarithmic distance buckets."""
    generator = torch.Generator().manual_seed(seed)
    sources, targets = [26, 11, 17], [5, 3, 6]

    def rows(lengths, padding):
        out = torch.full((len(lengths), max(lengths)), padding)
        for row, length in enumerate(lengths):
            out[row, : length - 1] = torch.randint(2, vocabulary, (length - 1,), generator=generator)
            out[row, length - 1] = EOS
        return out

    input_ids = rows(sources, PAD)
    return input_ids, (input_ids != PAD).long(), rows(targets, IGNORED)


def numbers(tensor):
    """Nested lists; nine significant digits give every float32 back exactly."""
    if tensor.dim() == 0:
        return float(f"{tensor.item():.9g}")
    return [numbers(part) for part in tensor]


@torch.no_grad()
def greedy(model, input_ids, attention_mask):
    """Row lists without the start token, up to and including the end token; and the smallest winning margin."""
    out = model.generate(
        input_ids=input_ids,
        attention_mask=attention_mask,
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=False,
        num_beams=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    rows, margin = [], float("inf")
    for row, ids in enumerate(out.sequences[:, 1:].tolist()):
        length = ids.index(EOS) + 1 if EOS in ids else len(ids)
        rows.append(ids[:length])
        for step in range(length):
            first, second = out.logits[step][row].topk(2).values.tolist()
            margin = min(margin, first - second)
    return rows, margin


@torch.no_grad()
def golden(model):
    input_ids, attention_mask, labels = batch(seed=7)
    out = model(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
    padded, margin = greedy(model, input_ids, attention_mask)
    length = int(attention_mask[1].sum())
    alone, alone_margin = greedy(model, input_ids[1:2, :length], attention_mask[1:2, :length])
    return {
        "about": (
            f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, "
            "float32, dropout off. loss: cross-entropy, mean over labels other than -100; "
            "decoder input = labels shifted right from pad, -100 as pad. "
            "logits_row_0: [target, vocabulary]; logits_first_8: [batch, target, ids 0..7]; "
            "encoder_row_0_first_4: [source, features 0..3] after the final norm; encoder_row_1_first_4: its unpadded "
            "positions. greedy_ids: the padded batch, at most max_new_tokens ids per row, start token left out, end "
            "token 1 kept; greedy_ids_row_1_alone: row 1 by itself without padding."
        ),
        "input_ids": input_ids.tolist(),
        "attention_mask": attention_mask.tolist(),
        "labels": labels.tolist(),
        "loss": numbers(out.loss),
        "logits_row_0": numbers(out.logits[0]),
        "logits_first_8": numbers(out.logits[:, :, :8]),
        "encoder_row_0_first_4": numbers(out.encoder_last_hidden_state[0, :, :4]),
        "encoder_row_1_first_4": numbers(out.encoder_last_hidden_state[1, :length, :4]),
        "max_new_tokens": MAX_NEW_TOKENS,
        "greedy_ids": padded,
        "greedy_ids_row_1_alone": alone[0],
        "smallest_greedy_margin": numbers(torch.tensor(min(margin, alone_margin))),
    }


def memorise(model):
    """Trains until greedy decoding of the batch gives rows of 5, 9 and 12+ varied ids: clear margins, early ends."""
    input_ids, attention_mask, _ = batch(seed=7)
    generator = torch.Generator().manual_seed(11)
    labels = torch.full((3, MAX_NEW_TOKENS + 2), IGNORED)
    for row, length in enumerate([9, 5, MAX_NEW_TOKENS + 2]):
        labels[row, : length - 1] = torch.randint(2, 96, (length - 1,), generator=generator)
        labels[row, length - 1] = EOS
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(500):
        loss = model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss
        if loss.item() < 0.2:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def make(output, name, config, seed, sharded):
    model = T5ForConditionalGeneration(T5Config(**config, attn_implementation="eager")).eval()
    weights = draw_weights(model, seed)
    if not config["tie_word_embeddings"]:
        model.lm_head.weight = torch.nn.Parameter(weights["lm_head.weight"].clone())
    model.load_state_dict(weights, strict=False)
    memorise(model)
    trained = model.state_dict()
    weights = {name: trained[name].clone() for name in weights}
    write_checkpoint(output / name, config, weights)
    values = golden(load(output / name, config))
    write_json(output / name / "golden.json", values)
    print(name, "loss", values["loss"], "greedy", values["greedy_ids"], values["smallest_greedy_margin"])
    if sharded:
        folder = output / f"{name}-sharded"
        write_checkpoint(folder, config, weights, shards=2)
        assert golden(load(folder, config)) == values, "the sharded folder gives other values"


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    make(target, "t5-classic", CLASSIC, seed=1, sharded=False)
    make(target, "t5-gated", GATED, seed=2, sharded=True)
