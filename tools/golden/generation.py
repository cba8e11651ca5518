"""Makes test/fixtures/golden/generation.json: for the tiny checkpoints of t5.py and llama.py (run those first), what
transformers generates by beam search under several settings, and what its filters (temperature, top-k, top-p, in the order
in which `generate` applies them) leave of given scores.

    python tools/golden/generation.py [OUTPUT_FILE]

Made with torch 2.13, transformers 5.18.
"""

import itertools
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from t5 import FOLDER, write_json

MODELS = ["t5-classic", "t5-gated", "llama3-gqa", "qwen3-norms"]
MAX_NEW_TOKENS = 12


def settings():
    for beams, penalty, early in itertools.product([1, 2, 4], [1.0, 0.0, 2.0, -1.0], [False, True, "never"]):
        if beams > 1 or (penalty, early) == (1.0, False):
            yield {"num_beams": beams, "length_penalty": penalty, "early_stopping": early}


def unseen(vocabulary, right):
    """Prompts that the checkpoints were not trained on, whose answers are therefore close calls; padded on one side."""
    generator = torch.Generator().manual_seed(23)
    rows = [torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in [9, 4, 6, 3]]
    length = max(len(row) for row in rows)

    def padded(values):
        zeros = [0] * (length - len(values))
        return values + zeros if right else zeros + values

    mask = torch.tensor([padded([1] * len(row)) for row in rows])
    return rows, torch.tensor([padded(row) for row in rows]), mask


@torch.no_grad()
def beams(name):
    folder = FOLDER / name
    encoder = name.startswith("t5")
    kind = AutoModelForSeq2SeqLM if encoder else AutoModelForCausalLM
    model = kind.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    prompts, input_ids, mask = unseen(model.config.vocab_size, right=encoder)
    start = 1 if encoder else input_ids.shape[1]
    plain = GenerationConfig(
        max_new_tokens=MAX_NEW_TOKENS, do_sample=False, eos_token_id=None, pad_token_id=0, decoder_start_token_id=0
    )
    greedy = model.generate(input_ids=input_ids, attention_mask=mask, generation_config=plain)[:, start:].tolist()
    ends = [ids[place] for ids, place in zip(greedy, [4, 6, 9])]
    ends = sorted(set(ends))
    cases = []
    for setting in settings():
        for end_ids in [ends[:1], ends]:
            out = model.generate(
                input_ids=input_ids,
                attention_mask=mask,
                generation_config=GenerationConfig(
                    **setting,
                    max_new_tokens=MAX_NEW_TOKENS,
                    do_sample=False,
                    eos_token_id=end_ids,
                    pad_token_id=0,
                    decoder_start_token_id=0,
                    output_scores=True,
                    return_dict_in_generate=True,
                ),
            )
            rows = []
            for ids in out.sequences[:, start:].tolist():
                stop = next((i + 1 for i, token in enumerate(ids) if token in end_ids), len(ids))
                rows.append(ids[:stop])
            scores = getattr(out, "sequences_scores", None)
            cases.append(
                {
                    **setting,
                    "end_ids": end_ids,
                    "ids": rows,
                    "scores": None if scores is None else [float(f"{s:.9g}") for s in scores.tolist()],
                }
            )
    return {"prompts": prompts, "cases": cases}


def filters():
    """Kept ids and their probabilities for scores with ties and a wide range."""
    generator = torch.Generator().manual_seed(3)
    out = []
    for temperature, top_k, top_p in itertools.product([0.5, 1.0, 1.7], [None, 1, 5, 40], [None, 0.05, 0.6, 0.95]):
        scores = (2 * torch.randn(1, 30, generator=generator)).round(decimals=1 if top_k == 5 and top_p is None else 6)
        # A mixin's method builds the list in the order in which `generate` applies it.
        config = GenerationConfig(do_sample=True, temperature=temperature, top_k=top_k or 0, top_p=top_p or 1.0)
        model = AutoModelForCausalLM.from_config(transformers.LlamaConfig(
            vocab_size=30, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1))
        processors = model._get_logits_processor(config, input_ids_seq_length=1, device="cpu")
        kept = processors(torch.zeros(1, 1, dtype=torch.long), scores).softmax(-1)[0]
        out.append(
            {
                "temperature": temperature,
                "top_k": top_k,
                "top_p": top_p,
                "scores": [float(f"{s:.9g}") for s in scores[0].tolist()],
                "probabilities": [float(f"{p:.9g}") for p in kept.tolist()],
            }
        )
    return out


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "generation.json"
    write_json(
        target,
        {
            "about": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32",
            "max_new_tokens": MAX_NEW_TOKENS,
            "beams": {name: beams(name) for name in MODELS},
            "filters": filters(),
        },
    )
