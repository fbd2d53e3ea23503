"""The parts of the scale test that take no time; `make deploy-test` runs it in small."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.cells import Job
from benchmarks.scale import Measured, Results, Setup

JOB = Job("stream", "openai", chunks=400, streams=50, rate=50)


def run(arrived: int = 40_000, whole: int = 100, servers: float = 4.0) -> Measured:
    return Measured(
        seconds=4.0,
        sent=40_000,
        arrived=arrived,
        whole=whole,
        streams=100,
        servers=servers,
        nginx=0.4,
        postgres=0.2,
        memory_mb=160.0,
    )


def test_the_table_has_the_medians_and_all_losses() -> None:
    paced = [run(servers=2.0), run(), run(arrived=39_600, whole=99)]
    assert run().per_token("servers") == pytest.approx(100)
    assert run().per_token("nginx", "postgres") == pytest.approx(15)
    text = scale.table({Setup(2): Results(paced, [run()]), Setup(1, workers=2): None})
    row, none = text.splitlines()[2:]
    assert row == "| 2 | 100 µs | 10.0 µs | 5.0 µs | 200 | 173 | 10,000 | 160 MiB | 1 of 400 |"
    assert none.startswith("| 1 with `workers: 2` | did not start")
    assert {line.count("|") for line in text.splitlines()} == {10}


def test_the_cpu_of_children_that_ended_is_counted() -> None:
    program = (
        "import subprocess, sys, time\n"
        "busy = 'import time\\nwhile time.process_time() < 0.3: pass'\n"
        "subprocess.run([sys.executable, '-c', busy], check=True)\n"
        "print(flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            parent.stdout.readline()
            assert 0.25 < scale.system.ended_children_seconds(parent.pid) < 10
        finally:
            parent.kill()
    assert scale.system.ended_children_seconds(parent.pid) == 0


def test_the_report_replaces_what_stands_between_the_marks() -> None:
    page = scale.PAGE.read_text()
    text = scale.report({Setup(1): Results([run()], [run()])}, JOB, 0.5)
    assert "50 streams of 400 tokens" in text
    once = scale.written(page, text)
    assert text in once
    assert scale.written(once, text) == once
    assert once.partition(scale.BEGIN)[0] == page.partition(scale.BEGIN)[0]
    assert once.partition(scale.END)[2] == page.partition(scale.END)[2]
    with pytest.raises(ValueError, match="no marks"):
        scale.written("nothing", text)


def test_the_page_has_numbers_of_every_setup_and_no_loss() -> None:
    page = scale.PAGE.read_text()
    part = page.partition(scale.BEGIN)[2].partition(scale.END)[0]
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == [s.title for s in scale.SETUPS]
    losses = [row[-1] for row in rows if "did not start" not in row[1]]
    assert len(losses) >= 3
    assert all(loss.startswith("0 of ") for loss in losses)


def test_nginx_gets_every_server_and_the_port(tmp_path: Path) -> None:
    text = scale.nginx_config(9000, [9001, 9002, 9003], tmp_path)
    assert [line for line in text.splitlines() if "    server 127" in line] == [
        f"    server 127.0.0.1:{port};" for port in (9001, 9002, 9003)
    ]
    assert "listen 127.0.0.1:9000;" in text
    assert "proxy_buffering off;" in text
