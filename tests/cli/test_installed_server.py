"""Facts of the installed server, read without importing it."""

import importlib
import importlib.util
import inspect
import re

from llama_stack_provider_nvidia.run_yaml.installed_server import (
    installed_servers,
    log_format_variable,
)

PACKAGE = "ogx" if importlib.util.find_spec("ogx") else "llama_stack"


def test_the_variable_is_one_that_the_installed_server_reads() -> None:
    log = importlib.import_module(f"{PACKAGE}.log")
    read = re.findall(r"\w+_LOG_FORMAT", inspect.getsource(log))
    assert log_format_variable() == (read[0] if read else None)
    # Servers that have it log with structlog.
    assert (log_format_variable() is not None) == hasattr(log, "structlog")


def test_the_folder_is_the_package_s() -> None:
    name, folder = next(installed_servers())
    spec = importlib.util.find_spec(name)
    assert name == PACKAGE
    assert spec is not None
    assert spec.origin == str(folder / "__init__.py")
