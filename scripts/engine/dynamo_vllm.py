"""Dynamo's vLLM worker without torchvision: `python dynamo_vllm.py ARGUMENTS`.

`dynamo.vllm` imports a module for images that needs torchvision, of which the package index has no
CPU build. Text models never call it.
"""

from __future__ import annotations

import runpy
import sys
import types
from typing import Any

IMAGES = "transformers.models.qwen2_vl.image_processing_qwen2_vl"


def smart_resize(*args: Any, **kwargs: Any) -> Any:
    """Fail: images are not supported."""
    raise NotImplementedError("images need torchvision")


if __name__ == "__main__":
    stub: Any = types.ModuleType(IMAGES)
    stub.smart_resize = smart_resize
    sys.modules[IMAGES] = stub
    runpy.run_module("dynamo.vllm", run_name="__main__", alter_sys=True)
