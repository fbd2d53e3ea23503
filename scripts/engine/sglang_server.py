"""SGLang's own server on a CPU, without its CUDA kernels: `python sglang_server.py ARGUMENTS`.

The package index has no CPU build of `sgl-kernel` and none of torchvision's. A text model with
torch's own attention calls no kernel of either, but their modules are imported. So `sgl_kernel` is
a module whose functions raise when they are called, and torchvision does without its operators.
SGLang starts processes that run this module's top again, so it holds for them as well.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

import torch


class Kernel:
    """A kernel that is not there."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("__"):
            raise AttributeError(name)
        return Kernel(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Fail: nothing of it may be used."""
        raise NotImplementedError(f"{self.__name__} needs a GPU build of sgl-kernel")


class Kernels(types.ModuleType):
    """A module of kernels that are not there."""

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("__"):
            raise AttributeError(name)
        return Kernel(f"{self.__name__}.{name}")


class KernelFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `sgl_kernel` and its modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a specification for names below `sgl_kernel`."""
        if fullname.partition(".")[0] != "sgl_kernel":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return the module."""
        return Kernels(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run nothing."""


sys.meta_path.append(KernelFinder())
# These describe operators of torchvision's compiled part, which does not load beside a CPU torch.
for _name in ("torchvision._meta_registrations", "torchvision._autograd_registrations"):
    sys.modules[_name] = types.ModuleType(_name)
OPERATORS = torch.library.Library("torchvision", "DEF")
OPERATORS.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def main() -> None:
    """Serve until told to stop."""
    from sglang.launch_server import run_server
    from sglang.srt.server_args import prepare_server_args

    run_server(prepare_server_args(sys.argv[1:]))


if __name__ == "__main__":
    main()
