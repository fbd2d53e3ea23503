"""Rows of StepFun's models."""

from .profile import Family
from .rows import EFFORT_ONLY, LANGCHAIN, row

FAMILIES: tuple[Family, ...] = (
    row(
        r"step-3",
        "Step 3",
        tools=True,
        reasoning=EFFORT_ONLY,
        source=LANGCHAIN,
    ),
)
