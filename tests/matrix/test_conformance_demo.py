"""The demo on releases without the native API; tests/repo has it on those with it."""

import os
import re
import subprocess
import sys

import pytest

from llama_stack_provider_nvidia import stack
from scripts.demo_openai import STEPS
from scripts.stack_server import ROOT

pytestmark = pytest.mark.server

if not stack.NATIVE:

    def test_every_request_of_the_demo_is_answered() -> None:
        command = [sys.executable, "-m", "scripts.demo"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for name, _ in STEPS:
            line = rf"^ok +{re.escape(name)} +\d+\.\d\d s  (?!none)\S"
            assert re.search(line, done.stdout, re.MULTILINE), done.stdout
        assert f"All {len(STEPS)} requests were answered as they should be." in done.stdout
        assert "Warning" not in done.stderr
