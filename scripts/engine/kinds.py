"""The engines: what each is, how it is installed and started, and how to see what it does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.child_process import free_port
from scripts.engine.installing import ROOT, Environment
from scripts.engine.models import Model
from scripts.engine.running import Engine, Process, fetch

HERE = Path(__file__).parent
LLAMA = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
CONTEXT = 2048

VLLM = Environment("engine", "3 GB", vllm="0.31.0")  # the vLLM inside NIM 2.1.5
SGLANG = Environment("engine-sglang", "180 MB", below=VLLM)
DYNAMO = Environment("engine-dynamo", "300 MB")
DYNAMO_VLLM = Environment("engine-dynamo-vllm", "220 MB", below=VLLM)
LLAMACPP = Environment("engine-llamacpp", "200 MB")
SMOLLM2 = Environment("engine-smollm2", "100 MB", below=VLLM)

TINY = Model("engine-model", LLAMA, "tiny_llama.py", VLLM)
SHELL = Model("engine-dynamo-model", LLAMA, "dynamo_model.py", DYNAMO)
GGUF = Model("engine-llamacpp-model", LLAMA, "llamacpp_model.py", LLAMACPP)
REAL = Model("engine-smollm2-model", "HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2.py", SMOLLM2)

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # lets the worker live in the engine's process
    "CUDA_VISIBLE_DEVICES": "",
}


@dataclass(frozen=True)
class Activity:
    """The activity of an engine.

    Attributes:
        running: Requests that it generates for.
        generated: Tokens that it has generated since its start.
    """

    running: int
    generated: int


@dataclass(frozen=True)
class Kind:
    """An engine.

    Attributes:
        name: As ENGINE says it.
        title: For people, with the version.
        dialect: What the provider takes it for.
        model: What it serves.
        environment: Where its server is installed.
        processes: Its processes, given the kind, a port, and a folder for scratch files.
        activity: Says what a running one is doing.
        constraints: Names of the fields of a request in which it takes a constraint of each kind.
        embedder: The embedding model that it serves as well.
    """

    name: str
    title: str
    dialect: str
    model: Model
    environment: Environment
    processes: Callable[[Kind, int, Path], tuple[Process, ...]]
    activity: Callable[[Engine], Activity]
    constraints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    embedder: str | None = None

    @property
    def served(self) -> str:
        """The model's name."""
        return self.model.served

    def install(self) -> None:
        """Install the engine and write its model; nothing to do where both are there."""
        self.environment.install()
        self.model.make()

    def engine(self, folder: Path, port: int | None = None) -> Engine:
        """Return the engine, installed and not started yet.

        Args:
            folder: For its log and scratch files.
            port: Dynamo uses the two after it as well; free ones unless told.
        """
        self.install()
        folder.mkdir(parents=True, exist_ok=True)
        port = port or free_port()
        return Engine(f"http://127.0.0.1:{port}", self.processes(self, port, folder), folder)


# --- processes --------------------------------------------------------------


# A small model may fill JSON with whitespace until its tokens are used up.
_NO_WHITESPACE = (
    "--structured-outputs-config",
    '{"backend": "xgrammar", "disable_any_whitespace": true}',
)


def _vllm(kind: Kind, port: int, folder: Path) -> tuple[Process, ...]:
    # The model is named by a relative path because `GET /v1/models` shows it.
    words = (
        *(str(kind.environment.path / "bin" / "vllm"), "serve", f"./{kind.model.name}"),
        *("--served-model-name", kind.served, "--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", str(CONTEXT), "--max-num-seqs", "8", "--enforce-eager"),
        *("--distributed-executor-backend", "uni"),
        # In bfloat16, tokens may be equally likely, and the best one is drawn among them.
        *("--dtype", "float32", "--enable-auto-tool-choice"),
        *("--tool-call-parser", "hermes" if kind.model is REAL else "llama3_json"),
        *(_NO_WHITESPACE if kind.model is REAL else ()),
    )
    return (Process(words, kind.model.path.parent, OFFLINE, lists=kind.served),)


def _sglang(kind: Kind, port: int, folder: Path) -> tuple[Process, ...]:
    words = (
        *(str(kind.environment.python), str(HERE / "sglang_server.py")),
        *("--model-path", kind.model.name, "--served-model-name", kind.served),
        *("--host", "127.0.0.1", "--port", str(port), "--nccl-port", str(free_port())),
        *("--device", "cpu", "--attention-backend", "torch_native"),
        *("--context-length", str(CONTEXT), "--max-total-tokens", "8192"),
        *("--disable-radix-cache", "--mem-fraction-static", "0.2", "--skip-server-warmup"),
        *("--tool-call-parser", "llama3", "--grammar-backend", "xgrammar", "--enable-metrics"),
        *("--decode-log-interval", "1"),  # else its count of running requests is an old one
    )
    variables = {
        **OFFLINE,
        "SGLANG_USE_CPU_ENGINE": "1",
        "SGLANG_SKIP_SGL_KERNEL_VERSION_CHECK": "1",
        # How often it looks whether the caller of a whole answer is still there, in seconds.
        "SGLANG_REQUEST_STATE_WAIT_TIMEOUT": "1",
    }
    return (Process(words, kind.model.path.parent, variables, lists=kind.served),)


def _llamacpp(kind: Kind, port: int, folder: Path) -> tuple[Process, ...]:
    words = (
        *(str(kind.environment.python), str(HERE / "llamacpp_server.py")),
        *(str(kind.model.path / "tiny.gguf"), kind.served, str(port)),
    )
    return (Process(words, folder, OFFLINE, lists=kind.served),)


# How both halves of Dynamo find each other.
_PLANES = ("--discovery-backend", "file", "--request-plane", "tcp")


def _variables(port: int, folder: Path) -> dict[str, str]:
    return {
        **OFFLINE,
        "DYN_FILE_KV": str(folder / "kv"),
        "DYN_SDK_DISABLE_ANSI_LOGGING": "1",
        # Else Dynamo listens on the machine's own address.
        "DYN_TCP_RPC_HOST": "127.0.0.1",
        "DYN_TCP_RESPONSE_STREAM_HOST": "127.0.0.1",
        "DYN_EVENT_PLANE_HOST": "127.0.0.1",
        "DYN_TCP_RESPONSE_STREAM_PORT": str(port + 1),
        "DYN_TCP_RPC_PORT": str(port + 2),
    }


def _front(kind: Kind, port: int, folder: Path) -> Process:
    command = (
        *(str(kind.environment.python), "-m", "dynamo.frontend", "--http-host", "127.0.0.1"),
        *("--http-port", str(port), *_PLANES),
    )
    return Process(command, kind.model.path.parent, _variables(port, folder), generates=False)


def _dynamo(kind: Kind, port: int, folder: Path) -> tuple[Process, ...]:
    python, where = str(kind.environment.python), kind.model.path.parent
    variables = _variables(port, folder)
    worker = (
        *(python, str(HERE / "dynamo_worker.py"), "--tool-call-parser", "hermes"),
        *("--model-path", str(kind.model.path), "--model-name", kind.served),
    )
    made = [
        _front(kind, port, folder),
        Process(worker, where, variables, lists=kind.served),
    ]
    if kind.embedder:
        embedder = (python, str(HERE / "dynamo_embedder.py"), str(kind.model.path), kind.embedder)
        its = {**variables, "DYN_TCP_RPC_PORT": str(free_port())}
        made.append(Process(embedder, where, its, lists=kind.embedder))
    return tuple(made)


def _dynamo_vllm(kind: Kind, port: int, folder: Path) -> tuple[Process, ...]:
    metrics = free_port()  # below 2**15, and Dynamo reads no other
    variables = {
        **_variables(port, folder),
        "DYN_SYSTEM_HOST": "127.0.0.1",
        "DYN_SYSTEM_PORT": str(metrics),
    }
    worker = (
        *(str(kind.environment.python), str(HERE / "dynamo_vllm.py")),
        *("--model", f"./{kind.model.name}", "--served-model-name", kind.served),
        *("--max-model-len", str(CONTEXT), "--max-num-seqs", "8"),
        *("--dtype", "float32", "--enforce-eager"),
        *("--distributed-executor-backend", "uni", *_PLANES),
        *("--dyn-tool-call-parser", "llama3_json"),
    )
    where = kind.model.path.parent
    return (
        _front(kind, port, folder),
        Process(worker, where, variables, lists=kind.served, metrics=metrics),
    )


# --- activity ---------------------------------------------------------------


def _metric(text: str, name: str) -> int:
    """Return the sum of a Prometheus metric over its labels."""
    found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([\d.e+]+)$", text, re.MULTILINE)
    return round(sum(map(float, found)))


def _metrics(running: str, generated: str) -> Callable[[Engine], Activity]:
    def read(engine: Engine) -> Activity:
        text = (fetch(engine.metrics) or b"").decode()
        return Activity(_metric(text, running), _metric(text, generated))

    return read


def _printed(engine: Engine) -> Activity:
    """Count the tokens that the scripted worker prints: requests that write none have ended."""
    before = engine.said().count("[worker] token")
    time.sleep(0.3)
    after = engine.said().count("[worker] token")
    return Activity(after - before, after)


_BY_VLLM = _metrics("vllm:num_requests_running", "vllm:generation_tokens_total")
_STRUCTURED = {
    word: ("structured_outputs", word) for word in ("json", "regex", "choice", "grammar")
}
_GUIDED = {word: (f"guided_{word}",) for word in _STRUCTURED}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "vllm",
            f"vLLM {VLLM.vllm}",
            "nim2-vllm",
            TINY,
            VLLM,
            _vllm,
            _BY_VLLM,
            _STRUCTURED,
        ),
        Kind(
            "smollm2",
            f"vLLM {VLLM.vllm}, SmolLM2",
            "nim2-vllm",
            REAL,
            VLLM,
            _vllm,
            _BY_VLLM,
            _STRUCTURED,
        ),
        Kind(
            "sglang",
            f"SGLang {SGLANG.version('sglang')}",
            "nim2-sglang",
            TINY,
            SGLANG,
            _sglang,
            _metrics("sglang:num_running_reqs", "sglang:generation_tokens_total"),
            {"regex": ("regex",), "grammar": ("ebnf",)},
        ),
        Kind(
            "llamacpp",
            f"llama.cpp (xllamacpp {LLAMACPP.version('xllamacpp')})",
            "generic",
            GGUF,
            LLAMACPP,
            _llamacpp,
            _metrics("llamacpp:requests_processing", "llamacpp:tokens_predicted_total"),
            {"json": ("json_schema",), "grammar": ("grammar",)},
        ),
        Kind(
            "dynamo",
            f"Dynamo {DYNAMO.version('ai-dynamo')}, scripted worker",
            "dynamo",
            SHELL,
            DYNAMO,
            _dynamo,
            _printed,
            _GUIDED,
            EMBEDDER,
        ),
        Kind(
            "dynamo-vllm",
            f"Dynamo {DYNAMO_VLLM.version('ai-dynamo')}, vLLM {VLLM.vllm}",
            "dynamo",
            TINY,
            DYNAMO_VLLM,
            _dynamo_vllm,
            _BY_VLLM,
            _GUIDED,
        ),
    )
}
"""The engines by name."""

RECORDS = ROOT / "var" / "engines"
