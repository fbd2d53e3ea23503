"""`make deploy-test` and `make scale-test` name the package of a missing program."""

from pathlib import Path

import pytest

from scripts import deploy_tools


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_tools, "find", lambda name: None if name == "nginx" else Path(name))
    said = deploy_tools.missing(deploy_tools.PACKAGES)
    assert said.startswith("Missing: nginx. Install them with: apt-get install ")
    assert said.endswith(" nginx-light")
    with pytest.raises(deploy_tools.MissingError, match="nginx-light"):
        deploy_tools.path("nginx")


def test_nothing_is_said_when_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_tools, "find", Path)
    assert deploy_tools.missing(deploy_tools.PACKAGES) == ""
    assert deploy_tools.path("nginx") == Path("nginx")


def test_programs_are_found_beside_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert deploy_tools.find("no-such-program") is None
    program = tmp_path / "promtool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert deploy_tools.find("promtool") == program


def test_ci_installs_what_is_missing_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What would be run, without running it.
    program = tmp_path / "env"
    program.write_text('#!/bin/sh\necho "$@" >> "$0.log"\n')
    program.chmod(0o755)
    (tmp_path / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(deploy_tools, "find", lambda name: None if "prom" in name else Path(name))
    deploy_tools.install(deploy_tools.PACKAGES)
    update, install = (tmp_path / "env.log").read_text().splitlines()
    assert update.endswith("apt-get -qq update")
    assert install.endswith("install -y --no-install-recommends prometheus")
    monkeypatch.setattr(deploy_tools, "find", Path)
    deploy_tools.install(deploy_tools.PACKAGES)
    assert len((tmp_path / "env.log").read_text().splitlines()) == 2
