"""The same sentence transformer in plain numpy, on the texts of our own benchmark."""

import json
import pathlib
import sys
import time

import numpy
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import Tokenizer

folder = pathlib.Path(sys.argv[1])
weights = load_file(folder / "model.safetensors")
config = json.loads((folder / "config.json").read_text())
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(256)
HIDDEN, HEADS = config["hidden_size"], config["num_attention_heads"]


def linear(x, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / numpy.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x):
    return x * 0.5 * (1 + erf(x / numpy.float32(2**0.5)))


def embed(batch):
    ids = [encoding.ids for encoding in tokenizer.encode_batch(batch)]
    longest = max(map(len, ids))
    mask = numpy.array([[1] * len(x) + [0] * (longest - len(x)) for x in ids], dtype=numpy.float32)
    padded = numpy.array([x + [0] * (longest - len(x)) for x in ids])
    x = weights["embeddings.word_embeddings.weight"][padded]
    x = x + weights["embeddings.position_embeddings.weight"][:longest]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    hide = (mask[:, None, None, :] - 1) * 1e9
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        shape = (len(batch), longest, HEADS, HIDDEN // HEADS)
        q, k, v = (
            linear(x, f"{layer}.attention.self.{part}").reshape(shape).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / numpy.float32((HIDDEN // HEADS) ** 0.5) + hide
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        context = (scores @ v).transpose(0, 2, 1, 3).reshape(len(batch), longest, HIDDEN)
        x = norm(linear(context, f"{layer}.attention.output.dense") + x, f"{layer}.attention.output.LayerNorm")
        wide = gelu(linear(x, f"{layer}.intermediate.dense"))
        x = norm(linear(wide, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
    pooled = (x * mask[:, :, None]).sum(1)
    return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True), int(mask.sum())


words = ["server", "returns", "the", "value", "of", "each", "argument", "in", "order"]
texts = [" ".join(words[(at * 7 + chunk * 3) % len(words)] for at in range(200)) for chunk in range(64)]
embed(texts[:8])
began = time.perf_counter()
tokens = sum(embed(texts[at : at + 8])[1] for at in range(0, len(texts), 8))
seconds = time.perf_counter() - began
print(f"numpy: {tokens / seconds:.0f} tokens/s, {len(texts) / seconds:.1f} chunks/s ({tokens} tokens)")
