"""The forge's workflows: valid, with the jobs of .ci/run, and a release that checks its tag."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import ci_jobs, matrix, pip_settings, release_check, venvs
from scripts.stack_server import ROOT

WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
PINS = ROOT / "constraints" / "workflows.txt"


def loaded(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text())
    return found


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in loaded(name)["jobs"].values() for step in job["steps"]]


def test_the_workflows_have_the_form_that_the_forge_takes() -> None:
    settings = venvs.pip_config(Path(sys.executable), os.environ)
    environ = {**os.environ, **pip_settings.uv_environment(settings, os.environ)}
    tool = [sys.executable, "-m", "uv", "tool", "run", *pip_settings.uv_flags(settings)]
    tool += ["--constraints", str(PINS), "check-jsonschema"]
    done = subprocess.run(
        [*tool, "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS.values())],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit_unless_the_line_above_says_why(name: str) -> None:
    lines = WORKFLOWS[name].read_text().splitlines()
    for number, line in enumerate(lines):
        if (found := re.match(r"\s*-? ?uses: (\S+)(.*)$", line)) is None:
            continue
        pinned = re.search(r"@[0-9a-f]{40}$", found[1]) and re.match(r" # v\d", found[2])
        assert pinned or lines[number - 1].strip().startswith("#"), line


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_job_may_write_or_knows_a_secret(name: str) -> None:
    workflow = loaded(name)
    assert workflow["permissions"] == {"contents": "read"}
    more = {
        key: job["permissions"] for key, job in workflow["jobs"].items() if "permissions" in job
    }
    assert more == ({"publish": {"id-token": "write"}} if name == "publish" else {})
    assert "secrets." not in WORKFLOWS[name].read_text()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_command_is_a_target_or_a_job_of_the_plan(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in (step["run"] for step in steps(name) if "run" in step):
        words = command.split()
        planned = command in (
            "${{ matrix.command }}",
            'python3 -m scripts.ci_jobs >> "$GITHUB_OUTPUT"',
        )
        assert planned or (words[0] == "make" and words[1] in targets), command


def test_the_jobs_are_the_sections_of_the_ci_script() -> None:
    script = ci_jobs.SCRIPT.read_text()
    found = ci_jobs.sections(script)
    assert len(found) == len(re.findall(r"^section ", script, re.MULTILINE)) >= 10
    done = subprocess.run(
        [sys.executable, "-m", "scripts.ci_jobs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    outputs = dict(line.split("=", 1) for line in done.stdout.splitlines())
    planned = json.loads(outputs["sections"])
    called = {command for job in planned for command in job["command"].split(" && ")}
    releases = [section for section in found if ci_jobs.is_matrix(section)]
    wanted = {section.command for section in found if section not in releases}
    assert called == wanted | {f"make matrix RELEASES={matrix.COVERED_ON}"}
    assert [left for one in releases for left in re.findall(r"EXCEPT=(\S+)", one.command)] == [
        stack for stack in venvs.pinned() if stack not in json.loads(outputs["releases"])
    ]
    include = loaded("ci")["jobs"]["section"]["strategy"]["matrix"]["include"]
    assert include == "${{ fromJSON(needs.plan.outputs.sections) }}"
    assert set(planned[0]) == {"title", "minutes", "command"}


def test_coverage_is_measured_where_the_tests_ran() -> None:
    jobs = ci_jobs.jobs(ci_jobs.sections(ci_jobs.SCRIPT.read_text()))
    (job,) = (job for job in jobs if "coverage" in job.command)
    native = f"make matrix RELEASES={matrix.COVERED_ON}"
    assert job.command == f"make test && {native} && make coverage"
    assert job.minutes >= 20


@pytest.mark.parametrize(
    ("command", "releases"),
    [
        ("make matrix EXCEPT=0.2.12", ["0.7.3", "ogx-1.5.0"]),
        ('make matrix RELEASES="0.2.12 0.7.3"', ["0.2.12", "0.7.3"]),
        ("make matrix", ["0.2.12", "0.7.3", "ogx-1.5.0"]),
    ],
)
def test_the_matrix_is_a_job_for_each_release(command: str, releases: list[str]) -> None:
    (section,) = ci_jobs.sections(f'section "Releases" 60 {command}\n')
    assert ci_jobs.is_matrix(section)
    assert ci_jobs.releases(section, ["0.2.12", "0.7.3", "ogx-1.5.0"]) == releases


def test_a_tag_is_checked_before_both_distributions_are_published() -> None:
    workflow = loaded("publish")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # `on` is a boolean of YAML 1.1
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    commands = [step["run"] for step in build["steps"] if "run" in step]
    assert commands == ['make release-check TAG="$GITHUB_REF_NAME"', "make dist"]
    (dist,) = (step for step in build["steps"] if step.get("run") == "make dist")
    assert dist["env"] == {"PROJECT_URL": "${{ github.server_url }}/${{ github.repository }}"}
    uploaded = [
        step["with"] for step in build["steps"] if "upload-artifact" in step.get("uses", "")
    ]
    names = ["nim_emulator", "llama_stack_provider_nvidia"]
    assert [(one["name"], one["path"]) for one in uploaded] == [
        (name, f"dist/{name}-*") for name in names
    ]
    assert publish["needs"] == "build"
    assert publish["strategy"] == {"max-parallel": 1, "matrix": {"distribution": names}}
    assert publish["environment"] == "release"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in release_check.VERSIONS:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text('"""The version."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n## 1.2.0 (2026-11-28)\n\n### Changed\n\n- All.\n\n"
        "## 1.1.0 (2026-10-01)\n\nNothing listed.\n"
    )
    return tmp_path


def test_a_tag_of_the_version_with_a_section_can_be_released(tree: Path) -> None:
    assert release_check.problems("v1.2.0", tree) == []


def test_another_version_is_a_problem(tree: Path) -> None:
    (tree / release_check.VERSIONS[1]).write_text('__version__ = "1.1.9"\n')
    (problem,) = release_check.problems("v1.2.0", tree)
    assert problem == f"{release_check.VERSIONS[1]} has version 1.1.9; the tag is v1.2.0."


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("v1.1.0", "CHANGELOG.md lists no change of 1.1.0."),
        ("v1.3.0", "CHANGELOG.md has no section `## 1.3.0 (YYYY-MM-DD)`."),
        ("1.2.0", "has version 1.2.0; the tag is 1.2.0."),
    ],
)
def test_a_tag_without_its_section_is_a_problem(tree: Path, tag: str, words: str) -> None:
    assert any(words in problem for problem in release_check.problems(tag, tree))


def test_what_is_unreleased_cannot_be_released() -> None:
    assert any("CHANGELOG.md" in problem for problem in release_check.problems("v0.0.0"))
