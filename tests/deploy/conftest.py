"""Tests of deploy/ with the real programs: ``make deploy-test``.

They need Debian's packages (scripts/deploy_tools.py names them) and are deselected unless `-m`
names the marker `deploy`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and leave them out unless they were asked for."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.deploy)
    if config.option.markexpr != "deploy":
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]
