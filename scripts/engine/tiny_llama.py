"""A tiny Llama for the real engine: random weights of a fixed seed, and a generated tokenizer.

Run with the engine's own Python: `python scripts/engine/tiny_llama.py FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SPECIAL_TOKENS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    "<|finetune_right_pad_id|>",
]

# Llama 3's own split, so that merges never cross words or runs of digits.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CORPUS = """
The quick brown fox jumps over the lazy dog. What is the weather like in Paris today?
You are a helpful assistant with tool calling capabilities. Answer the question of the user.
Given the following functions, please respond with a JSON for a function call with its proper
arguments that best answers the given prompt. Respond in the format {"name": function name,
"parameters": dictionary of argument name and its value}. Do not use variables.
{"type": "function", "function": {"name": "get_weather", "description": "Get the weather",
"parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type":
"integer"}, "unit": {"enum": ["celsius", "fahrenheit"]}}, "required": ["city"]}}}
{"name": "get_weather", "parameters": {"city": "Paris", "days": 3, "unit": "celsius"}}
The model returns tokens, one after another, and each token has a probability. A stream sends
them as they come; an answer that is not streamed waits for the last one. Numbers such as 0, 1,
10, 12, 42, 100, 2024 and 3.14 occur, and so do true, false and null.
"""

# Roles and tools in the JSON style of Llama 3.1, which the parser llama3_json reads.
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
{%- if content is string %}{{ content }}{% elif content -%}
{%- for part in content if part.type == "text" %}{{ part.text }}{% endfor -%}
{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- if tools %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nRespond with a JSON for a function call: " }}
{{- '{"name": function name, "parameters": dictionary of arguments}.\\n' }}
{%- for tool in tools %}{{- tool | tojson }}{{- "\\n" }}{% endfor %}
{{- "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
{%- set role = "ipython" if message.role == "tool" else message.role %}
{{- "<|start_header_id|>" + role + "<|end_header_id|>\\n\\n" }}
{%- set thoughts = message.reasoning or message.reasoning_content %}
{%- if thoughts %}{{- "<think>" + thoughts + "</think>" }}{% endif %}
{{- text(message.content) | trim }}
{%- for call in message.tool_calls or [] %}
{{- '{"name": "' + call.function.name + '", "parameters": ' }}
{{- call.function.arguments | tojson }}{{- "}" }}
{%- endfor %}
{{- "<|eot_id|>" }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- "<|start_header_id|>assistant<|end_header_id|>\\n\\n" }}
{%- endif %}
"""

VOCABULARY = 1024
HIDDEN = 128
LAYERS = 2
SPREAD = 0.1  # standard deviation of the weights
SHARPNESS = 2.0  # factor on the head: how far the logits lie apart
# What the weights add to the logits of some tokens, so that guided output ends
# within a small max_tokens although every other choice is random. Blanks and
# special tokens, which a trained model does not spill, are made rare.
LEANINGS = {'"': 5.0, "}": 3.0, '"}': 3.0, "]": 2.0, "{": 2.0, ",": 2.0}
RARE = -10.0


def write_model(out: Path) -> None:
    """Write tokenizer, template, configuration and weights. Runs in the engine's environment."""
    ids = write_tokenizer(out)
    write_weights(out, ids)


def write_tokenizer(out: Path) -> dict[str, int]:
    """Train a byte-level tokenizer, so that any text round-trips; return its vocabulary."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([CORPUS], trainer)
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        pad_token="<|finetune_right_pad_id|>",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(out)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    return vocabulary


def write_weights(out: Path, ids: dict[str, int]) -> None:
    """Write a small Llama with random weights from a fixed seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(20)
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,  # heads of 32, the smallest that the CPU kernels take
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=SPREAD,
        tie_word_embeddings=False,
        bos_token_id=ids["<|begin_of_text|>"],
        eos_token_id=[ids["<|end_of_text|>"], ids["<|eom_id|>"], ids["<|eot_id|>"]],
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    with torch.no_grad():
        embedding /= SPREAD  # as loud as what the layers add to it
        head *= SHARPNESS
        # The first hidden unit is a constant, about 3 once normalised: the bias of the head.
        embedding[:, 0] = 8.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        for token, number in ids.items():
            head[number, 0] = leaning(token) / 3
        # What ends in a closing brace calls for the end of the turn.
        for token, number in ids.items():
            if token.endswith("}"):
                echo = embedding[number, 1:]
                head[ids["<|eot_id|>"], 1:] += 2 * SHARPNESS * echo / echo.norm()
    model.save_pretrained(out)
    (out / "generation_config.json").write_text(
        json.dumps({"bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id})
    )


def leaning(token: str) -> float:
    """Return what the weights add to the logit of a token, given in the byte-level alphabet."""
    blank = not token.strip("ĠĊĉč")
    return RARE if blank or token in SPECIAL_TOKENS else LEANINGS.get(token, 0.0)


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
