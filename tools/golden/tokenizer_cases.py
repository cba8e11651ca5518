"""Writes test/fixtures/tokenizers: what the Python `tokenizers` library gives for real and for tiny tokenizers.

Run from the repository root with a Python that has `tokenizers` (0.23.2 made the committed files); the shared data
folder is taken from NLORA_SHARED, else ../shared. Deterministic.

  lines.json.gz            the texts: real ones cut from the benchmark, then awkward ones
  real-<name>.json.gz      ids of every text for a tokenizer of the shared folder
  tiny-<name>.json         a small tokenizer trained here on the real texts
  tiny-<name>.golden.json.gz  for some texts: ids, ids without special tokens, ids cut to `maxLength`, decoded texts;
                           for every text: the first 8 digits of the SHA-256 of its ids and decoded texts
"""

import base64
import gzip
import hashlib
import json
import os
import random
import struct
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

root = Path(__file__).resolve().parents[2]
shared = Path(os.environ.get("NLORA_SHARED", root.parent / "shared"))
out = root / "test" / "fixtures" / "tokenizers"
rng = random.Random(20260101)

REAL = {
    "t5-mini": "models/t5-mini",
    "llama": "data/tokenizers/llama",
    "unigram-nmt-nfkc": "data/tokenizers/unigram-nmt-nfkc",
    "pegasus-unigram": "data/tokenizers/pegasus-unigram",
    "gpt2-byte-bpe": "data/tokenizers/gpt2-byte-bpe",
}


def write(path, value):
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)


def real_lines(count, longest):
    """Strings of the benchmark, taken evenly from its files and cut at a random place."""
    files = sorted(p for p in shared.glob("data/cl-benchmark/*/*/*.json") if p.name in ("train.json", "test.json"))
    lines = []
    for path in files:
        strings = []

        def walk(value):
            if isinstance(value, str):
                strings.append(value)
            elif isinstance(value, (list, dict)):
                for item in value.values() if isinstance(value, dict) else value:
                    walk(item)

        walk(json.loads(path.read_text(encoding="utf-8")))
        for text in rng.sample(strings, min(len(strings), count // len(files) + 1)):
            start = rng.randrange(max(1, len(text) - longest))
            lines.append(text[start : start + longest])
    return lines[:count]


HAND = [
    "", " ", "  ", "\n", "\t", "\r\n", " \n ", "a", " a", "a ", "  a  b  ", "a\tb\nc\r\nd\re\x0bf\x0cg", "\u00a0a\u00a0\u3000b\u2003c\u0085d\u200ae",
    "Hello, world!", "I'm you're he'd SHE'LL We've don't DON'T 'S's '\u017f", "3.14159 1,000,000 2024-01-01 \u00bd \u00b2\u00b3 \u2167 \u0664\u0665\u0666",
    "na\u00efve caf\u00e9 co\u00f6perate", "nai\u0308ve cafe\u0301 coo\u0308perate a\u0308\u0301\u0328 \u0301 q\u0307\u0323", "\u212b \u2126 \u1e9b\u0323 \ufb01\ufb02\ufb03 \u01c4 \u33a2 \u3392 \u2460\u2461 \u24b6",
    "\uff28\uff45\uff4c\uff4c\uff4f\u3000\uff37\uff4f\uff52\uff4c\uff44\uff01 \uff11\uff12\uff13 \uff76\uff9e\uff77\uff9f\uff8a\uff9f", "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u4eca\u5929\u5929\u6c14\u5f88\u597d", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c\u304b\u3099 \u30ab\u3099\u30ad\u3099",
    "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4 \u1112\u1161\u11ab\u1100\u116e\u11a8 \uac00\u0301", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627 \u0640\u0640 \u06dd\u0661", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e19\u0e49\u0e33", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e \u0915\u094d\u0937 \u0958 \u0915\u093c", "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3 \u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c2", "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 \u0451\u0439",
    "\U0001f600\U0001f601 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44b\U0001f3fd \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea\U0001f1eb \u2764\ufe0f 1\ufe0f\u20e3", "\u00a9\u200d\u00ae \u2122 \U0001d4d7\U0001d4ee\U0001d4f5\U0001d4f5\U0001d4f8 \U0001f130 \U00020000\U0002f800",
    "\ufffd\ufffd a\ufffdb", "\ufeffbom \ufeff", "zero\u200bwidth\u200cnon\u200djoiner\u2060word \u00ad soft\u00adhyphen", "\u200frtl\u200e \u202bemb\u202c \u2067iso\u2069 \u061c", "\x00\x01\x02 a\x00b \x1b[0m \x7f \x80\x9f",
    "\u2581", "\u2581a \u2581\u2581b c\u2581d", "\u0120hello \u010a \u0100", "<pad>", "a<pad>b", "<pad> </s> <unk>", "x </s>y", "<s>hi</s>", "<extra_id_0> and <extra_id_99><extra_id_1>", "<extra_id_100> <extra_id_", "<|endoftext|>a <|endoftext|>", "<|begin_of_text|>x<|im_start|>user\nhi<|im_end|>",
    "<mask_1><unk_2>", "[CLS] [SEP] [MASK]", "<0x41><0x0A> <0xE2>", "</S> <PAD>", "( ) - . \" \u2013 \u00a3 \u20ac", "...", "---", "!!!???", "s*** **** ***", "https://example.org/a?b=c&d=%20#x_y-z", "foo_bar.baz(qux)[0] += {1: 'a'}; // \\n", "\\u0041 &amp; <br /> <br />",
    "CamelCaseWordAndALLCAPS", "\u1fbf\u1fc1 \u2057 \u3300", "\u00c5\u0301\u0327", "e\u0301" * 9, "\u0301" * 12, "a" * 300, "ab" * 200, "\u4e2d" * 120, "\U0001f600" * 60, " " * 50, "\n" * 20, "x" + " " * 17 + "y", "\u2581" * 9 + "z", "abc " * 60, "-" * 70, "0123456789" * 9,
    "\u0860\u08d4\u0b55\u09fe\u32ff\u1abf \u1e030 \U0001e030\U0001e130 \U00010781", "\u1d2c\u02b0\u207f \ua7f2\ua7f3 \uab69", "\ua7d2\U0001faea\u088f1 \u0295\u0294", "\u212a\u017f (K)(S)", "\u0130\u0131 \u01c5 \u1e9e\u00df", "\U000e0041\U000e007f \U000e0100", "\U0010ffff\U000f0000\ue000",
]

POOLS = [
    [chr(c) for c in range(0x20, 0x7F)],
    [chr(c) for c in range(0x00, 0x20)],
    [chr(c) for c in range(0x80, 0x250)],
    [chr(c) for c in range(0x300, 0x370)],
    [chr(c) for c in range(0x370, 0x600)],
    [chr(c) for c in range(0x600, 0x700)],
    [chr(c) for c in range(0x900, 0xE80)],
    [chr(c) for c in range(0x1100, 0x1200)],
    [chr(c) for c in range(0x2000, 0x2070)],
    [chr(c) for c in range(0x2100, 0x2400)],
    [chr(c) for c in range(0x3000, 0x3100)],
    [chr(c) for c in range(0x4E00, 0x5000)],
    [chr(c) for c in range(0xAC00, 0xAC80)],
    [chr(c) for c in range(0xFB00, 0xFB50)],
    [chr(c) for c in range(0xFF00, 0xFFEF)],
    [chr(c) for c in range(0x1F300, 0x1F650)],
    [chr(c) for c in range(0x1F1E6, 0x1F200)] + [chr(c) for c in range(0x1F3FB, 0x1F400)] + ["\u200d", "\ufe0f"],
    [" ", "  ", "\n", "\t", "\u00a0", "\u2581", "\u3000", " \n", "\r\n"],
    ["<pad>", "</s>", "<unk>", "<s>", "<extra_id_0>", "<|endoftext|>", "<mask_1>", "<0x41>", "[CLS]", "(", "-"],
    ["the", "Hello", "ing", "don't", "'s", "1234", "USA", "www.", "e", "a", "E", "o"],
]


def awkward_lines(count):
    """Random mixtures of kinds of characters."""
    lines = []
    for _ in range(count):
        pools = rng.sample(POOLS, rng.choice([1, 2, 3]))
        if rng.random() < 0.5:
            pools += [POOLS[0], POOLS[-1], POOLS[-3]]
        lines.append("".join(rng.choice(rng.choice(pools)) for _ in range(rng.choice([2, 3, 5, 8, 13, 30]))))
    return lines


def charsmap(rules):
    """A precompiled character map in SentencePiece's form: a double-array trie and the replacements it points to."""
    blob, tree = b"", {}
    for source, target in sorted(rules.items()):
        node = tree
        for byte in source.encode():
            node = node.setdefault(byte, {})
        node[0] = len(blob)
        blob += target.encode() + b"\0"
    units, bases, owned = {0: 0}, set(), {0}

    def place(index, node):
        base = next(b for b in range(1, 1 << 20) if b not in bases and all((b ^ label) not in owned for label in node))
        bases.add(base)
        owned.update(base ^ label for label in node)
        units[index] = units.get(index, 0) | (index ^ base) << 10 | (1 << 8 if 0 in node else 0)
        for label, child in sorted(node.items()):
            if label == 0:
                units[base] = child | 1 << 31
            else:
                units[base ^ label] = label
                place(base ^ label, child)

    place(0, tree)
    trie = [units.get(i, 0) for i in range((max(units) | 0xFF) + 1)]
    return struct.pack("<I", 4 * len(trie)) + struct.pack(f"<{len(trie)}I", *trie) + blob


RULES = {
    "\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u200b": "", "\u00ad": "", "\x07": "", "\ufb01": "fi",
    "\u2460": "1", "\u00bd": "1\u20442", "e\u0301": "\u00e9", "o\u0308": "\u00f6", "\u2026": "...", "\u00a9": "(c)", "A": "a", "\u212b": "\u00e5",
    **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},
}
SPECIAL = ["<pad>", "</s>", "<unk>"]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def template(before, after, tokenizer):
    names = before + after
    return processors.TemplateProcessing(
        single=" ".join([*before, "$A", *after]), special_tokens=[(n, tokenizer.token_to_id(n)) for n in names]
    )


def trained(model, trainer, texts, normalizer=None, pre_tokenizer=None, decoder=None):
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        tokenizer.decoder = decoder
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def changed(tokenizer, change):
    """The tokenizer whose file is `tokenizer`'s after `change`."""
    file = json.loads(tokenizer.to_str())
    change(file)
    return Tokenizer.from_str(json.dumps(file))


def tiny_tokenizers(texts):
    metaspace = pre_tokenizers.Metaspace()
    unigram = lambda: trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    bpe = lambda special, alphabet=(), size=340: trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=list(alphabet), limit_alphabet=256 if alphabet else 90, show_progress=False
    )

    # T5's kind: precompiled character map, words, sentinels.
    t5 = trained(
        models.Unigram(), unigram(), texts, normalizers.Precompiled(charsmap(RULES)),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace]), decoders.Metaspace(),
    )
    t5.add_special_tokens([f"<extra_id_{i}>" for i in range(3)])
    t5.post_processor = template([], ["</s>"], t5)
    yield "unigram-charsmap", t5

    # Unigram with normal forms and byte fallback, words not split.
    nfkc = trained(
        models.Unigram(), unigram(), texts,
        normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Lowercase()]),
        pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
        decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]),
    )
    nfkc = changed(nfkc, lambda file: file["model"].update(byte_fallback=True, vocab=file["model"]["vocab"] + [[b, -20.0] for b in BYTES]))
    nfkc.add_tokens([AddedToken("Option", single_word=True), AddedToken("<x>", lstrip=True, rstrip=True, normalized=False)])
    nfkc.post_processor = template([], ["</s>"], nfkc)
    yield "unigram-bytes", nfkc

    # LLaMA-1 and -2's kind: SentencePiece BPE with byte fallback, marks made by the normalizer.
    llama = trained(
        models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True), bpe(["<unk>", "<s>", "</s>", *BYTES], size=600), texts,
        normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]), pre_tokenizers.Metaspace(prepend_scheme="never"),
        decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
    )
    llama = changed(llama, lambda file: file.update(pre_tokenizer=None))
    llama.post_processor = template(["<s>"], [], llama)
    yield "sp-bpe-bytes", llama

    # The same without bytes and with merges across words, so that there are unknown characters and long words.
    cross = trained(models.BPE(unk_token="<unk>"), bpe(SPECIAL), texts, normalizers.Replace(" ", "\u2581"))
    cross.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse()])
    cross.post_processor = processors.BertProcessing(("</s>", 1), ("<pad>", 0))
    yield "bpe-unknown", cross

    # CLIP's kind: an end-of-word suffix, lower case, no byte fallback.
    suffix = trained(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True),
        trainers.BpeTrainer(vocab_size=340, special_tokens=SPECIAL, end_of_word_suffix="</w>", limit_alphabet=60, show_progress=False), texts,
        normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
        pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)]), decoders.BPEDecoder(),
    )
    suffix.post_processor = processors.RobertaProcessing(("</s>", 1), ("<pad>", 0))
    yield "bpe-suffix", suffix

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    # GPT-2's kind.
    gpt2 = trained(models.BPE(), bpe(["<|endoftext|>"], alphabet), texts, None, pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel())
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "byte-gpt2", gpt2

    # Llama-3's kind: Split, whole words before merges, begin-of-text in front.
    llama3 = trained(
        models.BPE(), bpe(["<|begin_of_text|>", "<|end_of_text|>"], alphabet), texts, None,
        pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]), decoders.ByteLevel(),
    )
    # A word that merging would not reach shows that it is taken whole.
    llama3 = changed(llama3, lambda file: (file["model"].update(ignore_merges=True), file["model"]["vocab"].update({"\u0120the\u0120": 900, "Hello": 901})))
    llama3.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template(["<|begin_of_text|>"], [], llama3)])
    yield "byte-llama3", llama3

    # Qwen2's kind: NFC, Split, added tokens with every option.
    qwen2 = trained(
        models.BPE(), bpe(["<|endoftext|>"], alphabet), texts, normalizers.NFC(),
        pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]), decoders.ByteLevel(),
    )
    qwen2.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    qwen2.add_tokens([
        AddedToken("<pad>", lstrip=True, normalized=False), AddedToken("</s>", rstrip=True, normalized=False), AddedToken("the", single_word=True),
        AddedToken("caf\u00e9", normalized=True), AddedToken("<extra_id_", normalized=False), AddedToken("<extra_id_0>", normalized=False),
    ])
    qwen2.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "byte-qwen2", qwen2


def main():
    out.mkdir(parents=True, exist_ok=True)
    real = real_lines(1500, 220)
    lines = real + HAND + awkward_lines(900)
    write(out / "lines.json.gz", {"real": len(real), "lines": lines})
    for name, folder in REAL.items():
        tokenizer = Tokenizer.from_file(str(shared / folder / "tokenizer.json"))
        tokenizer.no_truncation()
        ids = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
        # Decoding is only kept where it is not the text itself.
        decoded = {i: text for i, text in enumerate(map(tokenizer.decode, ids)) if text != lines[i] and i % 4 == 0}
        write(out / f"real-{name}.json.gz", {"ids": ids, "decoded": decoded})
    chosen = list(range(0, len(real), 15)) + list(range(len(real), len(real) + len(HAND) + 250))

    def digest(ids):
        decoded = [tokenizer.decode(ids, skip_special_tokens=skip) for skip in (True, False)]
        return hashlib.sha256("\0".join([",".join(map(str, ids)), *decoded]).encode()).hexdigest()[:8]

    for name, tokenizer in tiny_tokenizers(real):
        (out / f"tiny-{name}.json").write_text(tokenizer.to_str(), encoding="utf-8")
        cases = []
        for i in chosen:
            ids = tokenizer.encode(lines[i]).ids
            plain = tokenizer.encode(lines[i], add_special_tokens=False).ids
            tokenizer.enable_truncation(7)
            cut = tokenizer.encode(lines[i]).ids
            tokenizer.no_truncation()
            cases.append([i, ids, len(ids) - len(plain), cut, tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=False)])
        digests = "".join(digest(tokenizer.encode(line).ids) for line in lines)
        write(out / f"tiny-{name}.golden.json.gz", {"maxLength": 7, "vocabSize": tokenizer.get_vocab_size(), "cases": cases, "digests": digests})


main()
