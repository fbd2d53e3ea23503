"""llama.cpp's own server, from the bindings that hold it.

    python llamacpp_server.py GGUF NAME PORT

Each of four requests at a time has 2048 tokens of context.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp

CONTEXT = 2048
AT_A_TIME = 4  # the suite opens a stream on each of its ways


def main(path: str, name: str, port: int) -> None:
    """Serve until told to stop."""
    settings = xllamacpp.CommonParams()
    settings.model.path = path
    settings.model_alias = {name}
    settings.hostnames = ["127.0.0.1"]
    settings.port = port
    settings.n_ctx = CONTEXT * AT_A_TIME
    settings.n_parallel = AT_A_TIME
    settings.cpuparams.n_threads = 1
    settings.endpoint_metrics = True
    server = xllamacpp.Server(settings)
    print(f"serving on {server.listening_address}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
