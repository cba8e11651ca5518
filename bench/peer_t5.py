"""The other side of `npm run bench`: T5 with LoRA and the N-LoRA penalty as a careful user writes it in plain eager
PyTorch, after the published descriptions of T5, LoRA and N-LoRA. Module names follow the Hugging Face checkpoint layout.

    python bench/peer_t5.py                  serve: one JSON command a line on stdin, one JSON answer a line on stdout
    python bench/peer_t5.py --transformers   the same with transformers' T5ForConditionalGeneration and peft's LoRA
    python bench/peer_t5.py --check [GOLDEN] compare the plain model with test/fixtures/golden (needs safetensors)

Commands and answers:
    {"cmd": "setup", "model": {"d_model", "d_ff", "heads", "d_kv", "layers", "vocab"}, "batch", "source", "target",
     "dtype": "float32" | "bfloat16", "dropout", "rank", "alpha", "threads", "seed",
     "penalty": true, "lambda": 0.1, "learningRate": 1e-3}     (the last three are optional)
        -> {"ok": true, "parameters", "trainable", "torch", "threads", "peer", "attention"}
    {"cmd": "train", "steps": n}                        -> {"seconds": [one per step], "loss", "penalty"}
    {"cmd": "evaluate", "batches": n, "maxNewTokens": k} -> {"seconds": [one per batch], "tokens": k * batch}
    {"cmd": "memory"}                                   -> {"peakBytes"}   (largest resident size so far, VmHWM)
    {"cmd": "quit"}                                     -> {"ok": true}, then the process ends
A failed command answers {"error": message} and the process goes on.
"""

import argparse
import json
import math
import pathlib
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

IGNORED = -100
BUCKETS, MAX_DISTANCE = 32, 128
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "test" / "fixtures" / "golden"


class RmsNorm(nn.Module):
    def __init__(self, width, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        variance = x.float().pow(2).mean(-1, keepdim=True)
        normed = x * torch.rsqrt(variance + self.eps)
        return self.weight * normed.to(self.weight.dtype)


class LoraLinear(nn.Module):
    """y = W x + (alpha / rank) B A dropout(x); W frozen, A and B float32, multiplied in the dtype of x."""

    def __init__(self, base, rank, alpha, dropout):
        super().__init__()
        self.base = base
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features, dtype=torch.float32))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank, dtype=torch.float32))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scale = alpha / rank
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        a, b = self.lora_A.to(x.dtype), self.lora_B.to(x.dtype)
        return self.base(x) + self.scale * F.linear(F.linear(self.dropout(x), a), b)


def position_buckets(relative, bidirectional, buckets, max_distance):
    """Bucket of each key-minus-query distance: half exact, half logarithmic up to max_distance."""
    out = torch.zeros_like(relative)
    if bidirectional:
        buckets //= 2
        out = out + (relative > 0).long() * buckets
        distance = relative.abs()
    else:
        distance = (-relative).clamp(min=0)
    exact = buckets // 2
    ratio = torch.log(distance.float() / exact) / math.log(max_distance / exact)
    far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
    return out + torch.where(distance < exact, distance, far)


class Attention(nn.Module):
    def __init__(self, shape, position_bias=False, bidirectional=True):
        super().__init__()
        inner = shape["heads"] * shape["d_kv"]
        self.heads, self.d_kv, self.bidirectional = shape["heads"], shape["d_kv"], bidirectional
        self.dropout = nn.Dropout(shape["dropout"])
        self.q = nn.Linear(shape["d_model"], inner, bias=False)
        self.k = nn.Linear(shape["d_model"], inner, bias=False)
        self.v = nn.Linear(shape["d_model"], inner, bias=False)
        self.o = nn.Linear(inner, shape["d_model"], bias=False)
        if position_bias:
            self.relative_attention_bias = nn.Embedding(BUCKETS, shape["heads"])

    def bias(self, queries, keys):
        """[1, heads, queries, keys] for the last `queries` positions of `keys`."""
        position = torch.arange(keys)
        relative = position[None, :] - position[keys - queries :, None]
        buckets = position_buckets(relative, self.bidirectional, BUCKETS, MAX_DISTANCE)
        return self.relative_attention_bias(buckets).permute(2, 0, 1).unsqueeze(0)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, self.d_kv).transpose(1, 2)

    def forward(self, x, bias, memory=None, cache=None):
        """cache: a dict that keeps keys and values between decoding steps, or None."""
        query = self.split(self.q(x))
        if memory is not None and cache:
            key, value = cache["key"], cache["value"]
        else:
            source = x if memory is None else memory
            key, value = self.split(self.k(source)), self.split(self.v(source))
            if memory is None and cache:
                key = torch.cat([cache["key"], key], dim=2)
                value = torch.cat([cache["value"], value], dim=2)
        if cache is not None:
            cache["key"], cache["value"] = key, value
        scores = torch.matmul(query, key.transpose(2, 3))
        scores += bias
        weights = F.softmax(scores.float(), dim=-1).type_as(scores)
        mixed = torch.matmul(self.dropout(weights), value)
        return self.o(mixed.transpose(1, 2).contiguous().view(x.shape[0], x.shape[1], -1))


class FeedForward(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.wi = nn.Linear(shape["d_model"], shape["d_ff"], bias=False)
        self.wo = nn.Linear(shape["d_ff"], shape["d_model"], bias=False)
        self.dropout = nn.Dropout(shape["dropout"])

    def forward(self, x):
        return self.wo(self.dropout(F.relu(self.wi(x))))


class Sublayer(nn.Module):
    """x + dropout(f(norm(x))); f is registered under the name that checkpoints use."""

    def __init__(self, name, function, shape):
        super().__init__()
        self.name = name
        setattr(self, name, function)
        self.layer_norm = RmsNorm(shape["d_model"])
        self.dropout = nn.Dropout(shape["dropout"])

    def forward(self, x, *arguments):
        return x + self.dropout(getattr(self, self.name)(self.layer_norm(x), *arguments))


class Block(nn.Module):
    def __init__(self, shape, decoder, first):
        super().__init__()
        attention = Attention(shape, position_bias=first, bidirectional=not decoder)
        layers = [Sublayer("SelfAttention", attention, shape)]
        if decoder:
            layers.append(Sublayer("EncDecAttention", Attention(shape), shape))
        layers.append(Sublayer("DenseReluDense", FeedForward(shape), shape))
        self.layer = nn.ModuleList(layers)


class Stack(nn.Module):
    def __init__(self, shape, decoder):
        super().__init__()
        self.decoder = decoder
        self.block = nn.ModuleList(Block(shape, decoder, index == 0) for index in range(shape["layers"]))
        self.final_layer_norm = RmsNorm(shape["d_model"])
        self.dropout = nn.Dropout(shape["dropout"])

    def forward(self, x, mask, memory=None, memory_mask=None, caches=None):
        """mask and memory_mask are additive; the position bias is computed once per call and shared by the blocks."""
        x = self.dropout(x)
        past = caches[0][0]["key"].shape[2] if caches and caches[0][0] else 0
        bias = self.block[0].layer[0].SelfAttention.bias(x.shape[1], past + x.shape[1]) + mask
        for index, block in enumerate(self.block):
            own, cross = caches[index] if caches else (None, None)
            x = block.layer[0](x, bias, None, own)
            if self.decoder:
                x = block.layer[1](x, memory_mask, memory, cross)
            x = block.layer[-1](x)
        return self.dropout(self.final_layer_norm(x))


class T5(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.d_model = shape["d_model"]
        self.shared = nn.Embedding(shape["vocab"], shape["d_model"])
        self.encoder = Stack(shape, decoder=False)
        self.decoder = Stack(shape, decoder=True)

    def additive(self, keep):
        """0 where keep is true, the most negative number elsewhere; [batch, 1, 1, keys]."""
        dtype = self.shared.weight.dtype
        return (1.0 - keep[:, None, None, :].to(dtype)) * torch.finfo(dtype).min

    def encode(self, input_ids, attention_mask):
        return self.encoder(self.shared(input_ids), self.additive(attention_mask))

    def decode(self, ids, memory, memory_mask, caches=None):
        dtype, length = self.shared.weight.dtype, ids.shape[1]
        causal = torch.full((length, length), torch.finfo(dtype).min, dtype=dtype).triu(1)
        mask = causal[None, None] if length > 1 else 0.0
        x = self.decoder(self.shared(ids), mask, memory, self.additive(memory_mask), caches)
        return F.linear(x * self.d_model**-0.5, self.shared.weight)

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        return self.decode(decoder_input_ids, self.encode(input_ids, attention_mask), attention_mask)

    @torch.no_grad()
    def greedy(self, input_ids, attention_mask, steps):
        """Exactly `steps` ids per row, with a key/value cache; the end token does not stop a row."""
        memory = self.encode(input_ids, attention_mask)
        caches = [({}, {}) for _ in self.decoder.block]
        ids = [torch.zeros(input_ids.shape[0], 1, dtype=torch.long)]
        for _ in range(steps):
            logits = self.decode(ids[-1], memory, attention_mask, caches)
            ids.append(logits[:, -1].argmax(-1, keepdim=True))
        return torch.cat(ids[1:], dim=1)


def initialise(model, shape):
    """The random initialisation of T5 (Mesh TensorFlow's scales)."""
    width, inner = shape["d_model"], shape["heads"] * shape["d_kv"]
    scales = {
        "shared": 1.0,
        "q": (width * shape["d_kv"]) ** -0.5,
        "o": inner**-0.5,
        "wo": shape["d_ff"] ** -0.5,
    }
    for name, parameter in model.named_parameters():
        if "layer_norm" not in name:
            nn.init.normal_(parameter, std=scales.get(name.split(".")[-2], width**-0.5))


def add_lora(model, rank, alpha, dropout):
    model.requires_grad_(False)
    for module in list(model.modules()):
        if isinstance(module, Attention):
            module.q = LoraLinear(module.q, rank, alpha, dropout)
            module.v = LoraLinear(module.v, rank, alpha, dropout)


def shift_right(labels):
    start = torch.zeros(labels.shape[0], 1, dtype=labels.dtype)
    return torch.cat([start, labels[:, :-1].clamp(min=0)], dim=1)


class Plain:
    """The plain model behind the operations that the bench asks for."""

    name = "plain"
    attention = "eager"

    def __init__(self, shape, dtype, rank, alpha, dropout):
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            self.model = T5(shape)
        finally:
            torch.set_default_dtype(default)
        initialise(self.model, shape)
        add_lora(self.model, rank, alpha, dropout)
        self.pairs = [(m.lora_A, m.lora_B) for m in self.model.modules() if isinstance(m, LoraLinear)]

    def logits(self, input_ids, attention_mask, decoder_input_ids):
        return self.model(input_ids, attention_mask, decoder_input_ids)

    def generate(self, input_ids, attention_mask, steps):
        return self.model.greedy(input_ids, attention_mask, steps)


class Transformers:
    """transformers' model with peft's LoRA, with their defaults."""

    name = "transformers"

    def __init__(self, shape, dtype, rank, alpha, dropout):
        import transformers
        from peft import LoraConfig, get_peft_model

        transformers.logging.set_verbosity_error()
        config = transformers.T5Config(
            vocab_size=shape["vocab"],
            d_model=shape["d_model"],
            d_ff=shape["d_ff"],
            d_kv=shape["d_kv"],
            num_heads=shape["heads"],
            num_layers=shape["layers"],
            dropout_rate=dropout,
            decoder_start_token_id=0,
        )
        base = transformers.T5ForConditionalGeneration(config).to(dtype)
        self.attention = base.config._attn_implementation
        lora = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=["q", "v"])
        self.model = get_peft_model(base, lora)
        self.pairs = [
            (m.lora_A["default"].weight, m.lora_B["default"].weight)
            for m in self.model.modules()
            if hasattr(m, "lora_A")
        ]

    def logits(self, input_ids, attention_mask, decoder_input_ids):
        out = self.model(
            input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids, use_cache=False
        )
        return out.logits

    def generate(self, input_ids, attention_mask, steps):
        with torch.no_grad():
            return self.model.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                min_new_tokens=steps,
                max_new_tokens=steps,
                do_sample=False,
                num_beams=1,
            )


class Session:
    def __init__(self, peer, request):
        torch.set_num_threads(request["threads"])
        torch.manual_seed(request["seed"])
        self.request = request
        shape = {**request["model"], "dropout": request["dropout"]}
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[request["dtype"]]
        self.peer = peer(shape, dtype, request["rank"], request["alpha"], request["dropout"])
        self.trainable = [weight for pair in self.peer.pairs for weight in pair]
        rate = request.get("learningRate", 1e-3)
        self.optimizer = torch.optim.AdamW(self.trainable, lr=rate, weight_decay=0.0)

    def describe(self):
        return {
            "ok": True,
            "parameters": sum(parameter.numel() for parameter in self.peer.model.parameters()),
            "trainable": sum(weight.numel() for weight in self.trainable),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "peer": self.peer.name,
            "attention": self.peer.attention,
        }

    def random_batch(self):
        size, vocabulary = self.request["batch"], self.request["model"]["vocab"]
        input_ids = torch.randint(2, vocabulary, (size, self.request["source"]))
        labels = torch.randint(2, vocabulary, (size, self.request["target"]))
        return input_ids, torch.ones_like(input_ids), labels

    def penalty(self):
        """lambda * sum over modules of sum |B A| / sqrt(d_out d_in), in float32."""
        total = torch.zeros(())
        for a, b in self.peer.pairs:
            total = total + (b @ a).abs().sum() / math.sqrt(b.shape[0] * a.shape[1])
        return self.request.get("lambda", 0.1) * total

    def step(self, input_ids, attention_mask, labels):
        logits = self.peer.logits(input_ids, attention_mask, shift_right(labels))
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        penalty = self.penalty() if self.request.get("penalty", True) else torch.zeros(())
        self.optimizer.zero_grad()
        (loss + penalty).backward()
        torch.nn.utils.clip_grad_norm_(self.trainable, 1.0)
        self.optimizer.step()
        return loss.item(), penalty.item()

    def train(self, steps):
        self.peer.model.train()
        seconds, loss, penalty = [], None, None
        for _ in range(steps):
            batch = self.random_batch()
            start = time.perf_counter()
            loss, penalty = self.step(*batch)
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "loss": loss, "penalty": penalty}

    def evaluate(self, batches, steps):
        self.peer.model.eval()
        seconds = []
        for _ in range(batches):
            input_ids, attention_mask, _ = self.random_batch()
            start = time.perf_counter()
            ids = self.peer.generate(input_ids, attention_mask, steps)
            seconds.append(time.perf_counter() - start)
            assert ids[:, -steps:].shape == (self.request["batch"], steps)
        return {"seconds": seconds, "tokens": steps * self.request["batch"]}


def peak_bytes():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def serve(peer):
    answers, sys.stdout = sys.stdout, sys.stderr
    session = None
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
            command = request["cmd"]
            if command == "setup":
                session = None
                session = Session(peer, request)
                answer = session.describe()
            elif command == "train":
                answer = session.train(request["steps"])
            elif command == "evaluate":
                answer = session.evaluate(request["batches"], request["maxNewTokens"])
            elif command == "memory":
                answer = {"peakBytes": peak_bytes()}
            elif command == "quit":
                answer = {"ok": True}
            else:
                answer = {"error": f"unknown command {command!r}"}
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)
        if answer.get("ok") and command == "quit":
            return


def check(folder):
    """The plain model with the fixture's weights against the loss and ids that transformers and peft gave."""
    from safetensors.torch import load_file

    config = json.loads((folder / "t5-classic" / "config.json").read_text())
    shape = {key: config[key] for key in ("d_model", "d_ff", "d_kv")}
    shape |= {"heads": config["num_heads"], "layers": config["num_layers"], "vocab": config["vocab_size"]}
    model = T5({**shape, "dropout": 0.0}).eval()
    model.load_state_dict(load_file(folder / "t5-classic" / "model.safetensors"))
    golden = json.loads((folder / "t5-classic" / "golden.json").read_text())
    input_ids, mask, labels = (torch.tensor(golden[key]) for key in ("input_ids", "attention_mask", "labels"))

    def loss():
        with torch.no_grad():
            logits = model(input_ids, mask, shift_right(labels))
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED).item()

    plain = abs(loss() - golden["loss"])
    rows = model.greedy(input_ids, mask, golden["max_new_tokens"]).tolist()
    ids = all(row[: len(expected)] == expected for row, expected in zip(rows, golden["greedy_ids"], strict=True))
    adapter = json.loads((folder / "lora-peft" / "golden.json").read_text())
    add_lora(model, adapter["rank"], adapter["alpha"], 0.0)
    weights = load_file(folder / "lora-peft" / "adapter_model.safetensors")
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, LoraLinear):
                module.lora_A.copy_(weights[f"base_model.model.{name}.lora_A.weight"])
                module.lora_B.copy_(weights[f"base_model.model.{name}.lora_B.weight"])
    lora = abs(loss() - adapter["loss"])
    print(json.dumps({"loss_difference": plain, "lora_loss_difference": lora, "greedy_ids_equal": ids}))
    return plain < 1e-5 and lora < 1e-5 and ids


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The PyTorch side of the benchmark; see the head of this file.")
    parser.add_argument("--transformers", action="store_true", help="transformers and peft instead of the plain model")
    parser.add_argument("--check", nargs="?", const=FIXTURES, type=pathlib.Path, metavar="GOLDEN")
    options = parser.parse_args()
    if options.check:
        sys.exit(0 if check(options.check) else 1)
    serve(Transformers if options.transformers else Plain)
