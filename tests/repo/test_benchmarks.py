"""The benchmark runs and its arithmetic is right. How fast anything is, is not tested here."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    charts,
    contestants,
    headline,
    load,
    merge,
    page,
    payloads,
    plan,
    stats,
    tables,
    targets,
)
from benchmarks.cells import AIOHTTP, BUILTIN, HTTPX, OURS, Cell, Job, Result, Sample
from benchmarks.runner import check
from llama_stack_provider_nvidia import stack
from scripts.releases import parse

PART = "native-inprocess" if stack.NATIVE else "openai-inprocess"


@pytest.fixture(scope="module")
def written(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON of the smallest run there is, in the release that is installed here."""
    target = tmp_path_factory.mktemp("bench") / "run.json"
    command = f"-m benchmarks --quick --here --only {PART} --rounds 2 --chunks 200 --streams 1"
    done = subprocess.run(
        [sys.executable, *command.split(), "--output", str(target)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "targets" in done.stdout
    return target


def test_a_run_writes_every_sample(written: Path) -> None:
    data = json.loads(written.read_text())
    assert {"title", "facts", "seconds", "machine_noise", "results"} <= data.keys()
    assert data["results"]
    for result in map(Result.from_json, data["results"]):
        # The built-in of 0.2.x cannot read tool calls in fragments.
        assert result.failures.keys() <= ({BUILTIN} if result.cell.job.kind == "tools" else set())
        assert {*result.samples, *result.failures} == set(result.cell.contestants)
        for samples in result.samples.values():
            assert len(samples) == result.cell.rounds
            assert all(sample.wall > 0 and sample.cpu > 0 for sample in samples)
            assert all(0 <= sample.connections <= result.cell.job.streams for sample in samples)
            assert all(sample.events > 0 for sample in samples)
        assert Result.from_json(result.as_json()) == result


def test_a_page_is_made_of_it(written: Path) -> None:
    text = page.text(json.loads(written.read_text()), [f"{PART}.svg"])
    assert text.startswith("# Performance\n")
    assert f"](images/{PART}.svg)" in text
    assert "| this provider |" in text


def test_what_was_written_by_hand_stays(written: Path) -> None:
    notes = "\nThe server's own work is the rest.\n"
    text = page.text(json.loads(written.read_text()), [], notes)
    assert page.notes_of(text) == notes
    assert page.notes_of("# Performance\n") == "\n"


def a_result(part: str, place: str, release: str, job: Job, **cpu: list[float]) -> Result:
    cell = Cell(part, release, place, job, (OURS, BUILTIN, HTTPX, AIOHTTP), 3)
    samples = {
        name: [Sample(wall=2 * seconds, cpu=seconds, first=seconds) for seconds in taken]
        for name, taken in cpu.items()
    }
    return Result(cell, samples)


@pytest.mark.parametrize(
    ("values", "median", "noise"),
    [([4.0], 4, 0), ([1.0, 2.0, 3.0], 2, 0.5), ([10.0, 10.0, 10.0, 10.0], 10, 0)],
)
def test_summaries(values: list[float], median: float, noise: float) -> None:
    made = stats.summary(values)
    assert (made.median, made.noise) == (median, noise)
    assert (made.low, made.high, made.count) == (min(values), max(values), len(values))


def test_nothing_has_no_summary() -> None:
    with pytest.raises(ValueError, match="nothing"):
        stats.summary([])


def test_ratios_are_taken_round_by_round() -> None:
    # The second round was three times as slow for both.
    assert stats.paired_ratio([1.0, 3.0, 1.0], [4.0, 12.0, 4.0]).noise == 0
    assert stats.paired_ratio([1.0, 1.0], [4.0, 2.0, 9.0]).count == 2


def test_targets_are_judged_by_their_medians() -> None:
    job = Job("stream", "native", chunks=100)
    result = a_result(
        "native-inprocess",
        "process",
        "0.2.12",
        job,
        ours=[1.0, 1.0, 1.0],
        builtin=[40.0, 40.0, 4.0],
        aiohttp=[0.25, 0.25, 0.25],
    )
    ours, lines = targets.verdicts([result])
    assert (ours.value.median, ours.met, ours.close) == (0.025, True, True)
    assert (lines.value.median, lines.met, lines.close) == (4.0, False, False)
    rows = tables.target_rows([result])
    assert [row[-1] for row in rows[1:]] == ["met, within the noise", "missed"]


def test_speed_counts_upwards() -> None:
    job = Job("stream", "native", chunks=100, rate=2000)
    result = a_result("native-server", "server", "0.2.12", job, ours=[1.0], builtin=[20.0])
    short = a_result(
        "native-server", "server", "0.2.12", replace(job, times=9), ours=[1.0], builtin=[20.0]
    )
    speed, first = targets.verdicts([result, short])
    assert (speed.value.median, speed.at_least, speed.met) == (20, True, True)
    assert (first.value.median, first.met) == (0.05, True)


def test_a_crowd_cannot_be_faster_than_the_nim() -> None:
    job = Job("stream", "native", "text", 1000, 200, rate=100)

    def verdict(direct: float) -> targets.Verdict:
        result = a_result(
            "native-server", "server", "0.2.12", job, ours=[1.02], builtin=[4.0], direct=[direct]
        )
        (only,) = targets.verdicts([result])
        return only

    assert verdict(0.5).limit == 5
    assert not verdict(0.5).met
    assert verdict(1.0).limit == pytest.approx(0.95 * 4)
    assert verdict(1.0).met


def test_every_target_of_the_plan_has_its_cell() -> None:
    cells = plan.plan(plan.FULL)
    results = [
        Result(
            replace(cell, rounds=1),
            {n: [Sample(1.0, 1.0, first=1.0, connections=1)] for n in cell.contestants},
        )
        for cell in cells
    ]
    said = " / ".join(verdict.what for verdict in targets.verdicts(results))
    for words in (
        "raw aiohttp lines",
        "200 native streams of 50 in process, CPU per chunk against raw httpx lines",
        "50 OpenAI-style streams through the server",
        "one stream through the server",
        "first token",
        "200 streams",
        "OpenAI-style through the server",
        "connections",
        "embeddings of 256",
        "against 1000 chunks",
        "memory",
    ):
        assert words in said


@pytest.mark.parametrize("kind", payloads.KINDS)
@pytest.mark.parametrize("chunks", [1, 5, 200])
def test_what_is_sent_holds_the_tokens_it_should(kind: str, chunks: int) -> None:
    framed = b"".join(payloads.framed("chat", kind, chunks, True))
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed
    job = Job("stream", "openai", kind, chunks)
    sample = load.as_sample(job, 1.0, [load.Caught(raw, 0.0, 0.5)], 0.1)
    assert sample.tokens == payloads.tokens(kind, chunks)
    lines = [line for line in framed.decode().split("\n") if line.startswith("data: {")]
    lines = [line for line in lines if '"choices":[]' not in line]
    assert sum(map(contestants.tokens_in, lines)) == payloads.tokens(kind, chunks)


def test_lost_tokens_are_noticed() -> None:
    cell = Cell("x", "0.2.12", "process", Job("stream", "native", chunks=9), (OURS,), 1)
    check(cell, Sample(1.0, 1.0, tokens=9))
    with pytest.raises(ValueError, match="8 tokens of 9"):
        check(cell, Sample(1.0, 1.0, tokens=8))


def test_a_broken_answer_is_no_sample() -> None:
    job = Job("stream", "openai", chunks=5)
    whole = b"".join(payloads.framed("chat", "text", 5, False))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(ValueError, match="ended in the middle"):
        load.as_sample(job, 1.0, [load.Caught(head + whole[:-5], 0.0, 0.0)], 0.0)
    with pytest.raises(ValueError, match="500"):
        load.as_sample(job, 1.0, [load.Caught(b"HTTP/1.1 500 No\r\n\r\n{}", 0.0, 0.0)], 0.0)


def test_the_plan_s_releases_exist(root: Path) -> None:
    for size in (plan.QUICK, plan.FULL):
        for releases in size.releases.values():
            for release in releases:
                assert (root / "constraints" / f"{parse(release).slug}.txt").exists()


def test_plots_leave_out_what_failed() -> None:
    job = Job("stream", "native", "tools", 100)
    result = a_result("native-inprocess", "process", "0.2.12", job, ours=[1.0], httpx=[1.0])
    assert set(charts.series([result], "cpu")) == {OURS, HTTPX}


def run_of(part: str, seconds: int, high: float, *, cores: int = 2) -> dict[str, Any]:
    facts = {"processor": "p", "cores": cores, "releases": {"0.2.12": {"openai": "3"}}}
    noise = {"median": 1.0, "low": 1.0, "high": high}
    results = [{"cell": {"part": part, "job": {"chunks": 1}}, "samples": {"ours": [seconds]}}]
    return {
        "title": "full",
        "facts": facts,
        "seconds": seconds,
        "machine_noise": noise,
        "results": results,
    }


def test_runs_of_parts_make_one() -> None:
    runs = [run_of("a", 10, 1.5), run_of("b", 5, 2.0), run_of("a", 7, 1.2)]
    made = merge.merged(runs)
    assert (made["runs"], made["seconds"], made["machine_noise"]["high"]) == (3, 22, 2.0)
    assert {result["cell"]["part"]: result["samples"]["ours"] for result in made["results"]} == {
        "a": [7],
        "b": [5],
    }
    assert merge.merged(runs[:1])["results"] == runs[0]["results"]
    with pytest.raises(ValueError, match="different machines"):
        merge.merged([*runs, run_of("c", 1, 1.0, cores=4)])


def test_what_the_plan_no_longer_has_is_left_out() -> None:
    now = plan.plan(plan.FULL)
    old = replace(now[0], job=replace(now[0].job, chunks=1))
    results = [{"cell": asdict(cell), "samples": {}} for cell in (old, now[0])]
    assert merge.still_planned(results, now) == results[1:]


def test_the_page_says_what_of_a_request_is_the_server_s() -> None:
    job = Job("chat", "openai", times=100)

    def result(place: str, **cpu: float) -> Result:
        cell = Cell("requests", "0.7.3", place, job, tuple(cpu), 1)
        return Result(cell, {name: [Sample(1.0, seconds)] for name, seconds in cpu.items()})

    found = [result("process", ours=0.25, builtin=0.5), result("server", ours=1.0, builtin=1.5)]
    (line,) = page.server_share(found)
    assert "takes 10,000 µs" in line
    assert "of which 2,500 are" in line
    assert "0.50 of the built-in" in line
    assert page.server_share(found[1:]) == []


ROW = "| {what} against the built-in | {release} | at most 1 | {ratio} | 0.1 to 0.9 | met |\n"


def page_with(**ratios: str) -> str:
    figures = zip((*headline.CPU, *headline.SPEED), ratios.values(), strict=True)
    rows = (ROW.format(what=one.what, release=one.release, ratio=ratio) for one, ratio in figures)
    return "# Performance\n\n" + "".join(rows)


def test_the_readme_s_figures_are_taken_from_the_page() -> None:
    page = page_with(token="0.247", chat="0.5", texts="0.04", one="20.7", many="5.4")
    older = page_with(token="0.9", chat="0.9", texts="0.9", one="1", many="1")
    said = headline.bullet(page + older)
    assert "takes 25 % of the CPU time" in said
    assert "a chat 50 %" in said
    assert "21 times" in said
    assert "5 times" in said
    before = "# x\n\n- **A.** b\n- **Fast.** old,\n  words\n- **C.** d\n"
    assert headline.renewed(before, page) == f"# x\n\n- **A.** b\n{said}- **C.** d\n"
    shares = re.findall(r'width="(\d+)" height="22"', headline.chart(page))
    assert shares == ["99", "200", "16"]


def test_a_page_without_a_figure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no row of 'OpenAI-style through .*0\.7\.3"):
        headline.bullet("# Performance\n")


def test_plots_have_colours_for_dark_pages() -> None:
    made = charts.with_schemes("<svg><style>a{}</style><style>b{}</style></svg>")
    assert made.count("prefers-color-scheme: dark") == 1
    assert made.startswith("<svg><style>a{}")


@pytest.mark.parametrize("path", sorted(page.IMAGES.glob("*.svg")), ids=lambda path: path.stem)
def test_every_picture_suits_a_dark_page(path: Path) -> None:
    svg = path.read_text()
    # A terminal has a dark background of its own.
    assert "prefers-color-scheme: dark" in svg or 'class="rich-terminal"' in svg
