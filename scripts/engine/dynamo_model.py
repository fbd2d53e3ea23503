"""Write a model folder without weights: a tokenizer with a chat template, and a configuration.

    python dynamo_model.py FOLDER

Dynamo's front end tokenizes, renders the chat template and parses tool calls; the worker behind it
(``dynamo_worker.py``) writes the text. The tokenizer is trained on Python's standard library.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BEGIN, END, ROLE, ROLE_END = (
    *("<|begin_of_text|>", "<|eot_id|>"),
    *("<|start_header_id|>", "<|end_header_id|>"),
)
SPECIAL = [BEGIN, END, ROLE, ROLE_END]
CONTEXT = 2048

# Earlier reasoning is rendered, so that a test can see whether it arrived.
TEMPLATE = f"""\
{{{{ bos_token }}}}\
{{% if tools %}}{ROLE}system{ROLE_END}\n\nTools: {{{{ tools | tojson }}}}{END}{{% endif %}}\
{{% for m in messages %}}{ROLE}{{{{ m['role'] }}}}{ROLE_END}\n\n\
{{% if m['reasoning_content'] %}}<think>{{{{ m['reasoning_content'] }}}}</think>{{% endif %}}\
{{% if m['content'] is string %}}{{{{ m['content'] }}}}\
{{% elif m['content'] %}}{{{{ m['content'] | map(attribute='text') | join('') }}}}{{% endif %}}\
{{% if m['tool_calls'] %}}{{{{ m['tool_calls'] | tojson }}}}{{% endif %}}{END}{{% endfor %}}\
{{% if add_generation_prompt %}}{ROLE}assistant{ROLE_END}\n\n{{% endif %}}"""


def write(folder: Path) -> None:
    """Write the model to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:120]
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(path) for path in texts], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT,
        chat_template=TEMPLATE,
    )
    write_json(
        folder / "config.json",
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    write_json(folder / "generation_config.json", bos_token_id=0, eos_token_id=[1], pad_token_id=1)


def write_json(path: Path, **values: object) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
