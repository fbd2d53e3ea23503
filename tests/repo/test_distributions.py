"""The two wheels: what each holds, and the emulator's used alone with the openai SDK."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import dist, interpreters, pip_settings, venvs

# In an environment with the wheel and the SDK alone, called as any user of the SDK would.
PROGRAM = """
import importlib.util, subprocess, sys
from openai import OpenAI

assert importlib.util.find_spec("llama_stack_provider_nvidia") is None
chat, embedder = "meta/llama-3.1-8b-instruct", "nvidia/llama-nemotron-embed-1b-v2"
command = [sys.argv[1], "--port", "0", "--model", chat, "--model", embedder]
process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
try:
    url = process.stdout.readline().split()[-1]
    with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": "Please count to 5"}]
        answer = client.chat.completions.create(model=chat, messages=messages)
        print(answer.choices[0].message.content)
        stream = client.chat.completions.create(model=chat, messages=messages, stream=True)
        print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
        vector = client.embeddings.create(model=embedder, input="Hello").data[0].embedding
        print(len(vector))
finally:
    process.terminate()
    process.wait()
"""


UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def index() -> tuple[list[str], dict[str, str]]:
    """The flags and variables that send uv to the index that pip uses."""
    settings = venvs.pip_config(Path(sys.executable), os.environ)
    environ = {**os.environ, **pip_settings.uv_environment(settings, os.environ)}
    return pip_settings.uv_flags(settings), environ


@pytest.fixture(scope="module")
def wheels(
    index: tuple[list[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dist")
    return {
        distribution.name: dist.build(UV, distribution, folder, *index)[0]
        for distribution in (dist.PROVIDER, dist.EMULATOR)
    }


@pytest.mark.parametrize(
    "distribution", [dist.PROVIDER, dist.EMULATOR], ids=lambda distribution: distribution.name
)
def test_each_wheel_holds_its_own_package(
    wheels: dict[str, Path], distribution: dist.Distribution
) -> None:
    wheel = wheels[distribution.name]
    dist.check_contents(distribution, wheel)
    assert f"{distribution.name}/py.typed" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("nim_emulator/app.py", 1),
        ("llama_stack_provider_nvidia/emulator/app.py", 1),
        ("llama_stack_provider_nvidia/emulator/__init__.py", 100),
    ],
)
def test_emulator_code_in_the_provider_s_wheel_is_noticed(
    wheels: dict[str, Path], tmp_path: Path, name: str, lines: int
) -> None:
    wheel = tmp_path / "more.whl"
    with zipfile.ZipFile(wheels[dist.PROVIDER.name]) as right, zipfile.ZipFile(wheel, "w") as more:
        for item in right.namelist():
            if item != name:
                more.writestr(item, right.read(item))
        more.writestr(name, "x = 1\n" * lines)
    with pytest.raises(dist.DistError, match=name):
        dist.check_contents(dist.PROVIDER, wheel)


def test_the_emulator_s_wheel_serves_the_openai_sdk_on_its_own(
    wheels: dict[str, Path], index: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    flags, environ = index
    venv = tmp_path / "venv"
    dist.run([*UV, "venv", "--quiet", "--python", sys.executable, str(venv)], environ)
    inside = venvs.venv_python(venv)
    stack, _ = interpreters.choose(os.environ)
    install = [*UV, "pip", "install", "--quiet", "--python", str(inside)]
    pins = ["--constraints", str(venvs.constraints_path(stack)), *flags]
    dist.run([*install, *pins, str(wheels[dist.EMULATOR.name]), "openai"], environ)
    dist.run([*UV, "pip", "check", "--python", str(inside)], environ)
    done = subprocess.run(
        [str(inside), "-c", PROGRAM, str(inside.with_name("nim-emulator"))],
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1 2 3 4 5", "1 2 3 4 5", "2048"]
