"""A tiny Llama with random weights as GGUF: `python llamacpp_model.py FOLDER`.

The tokenizer and the chat template are those of `dynamo_model.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import dynamo_model
import gguf
import numpy as np

# Large enough for a token to take some milliseconds: a test has to be able to leave in between.
LAYERS, WIDTH, HEADS, INNER = 4, 512, 8, 2048


def write(folder: Path) -> None:
    """Write `tiny.gguf` into a folder."""
    dynamo_model.write(folder)
    made = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids: dict[str, int] = made["model"]["vocab"]
    tokens = sorted(ids, key=lambda token: ids[token])
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_context_length(dynamo_model.CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    special, plain = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([special if one in dynamo_model.SPECIAL else plain for one in tokens])
    writer.add_token_merges([" ".join(pair) for pair in made["model"]["merges"]])
    writer.add_bos_token_id(ids[dynamo_model.BEGIN])
    writer.add_eos_token_id(ids[dynamo_model.END])
    writer.add_add_bos_token(False)
    writer.add_chat_template(dynamo_model.TEMPLATE)
    for name, shape in shapes(len(tokens)).items():
        writer.add_tensor(name, weights(name, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Return the tensors by name."""
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, WIDTH),
        "output.weight": (vocabulary, WIDTH),
        "output_norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        found |= {f"{block}.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v")}
        found |= {f"{block}.{part}_norm.weight": (WIDTH,) for part in ("attn", "ffn")}
        found |= {f"{block}.ffn_{part}.weight": (INNER, WIDTH) for part in ("gate", "up")}
        found |= {
            f"{block}.attn_output.weight": (WIDTH, WIDTH),
            f"{block}.ffn_down.weight": (WIDTH, INNER),
        }
    return found


def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of a tensor, the same each time."""
    if len(shape) == 1:
        return np.ones(shape, dtype=np.float32)
    chance = np.random.default_rng(sum(name.encode()))
    return chance.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
