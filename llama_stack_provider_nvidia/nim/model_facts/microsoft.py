"""Rows of Microsoft's Phi models."""

from .profile import NEVER, Family, ImageLimits
from .rows import CARDS, INLINE, SCHEMAS, row

FAMILIES: tuple[Family, ...] = (
    row(
        r"phi-(3[._]?5?-vision|4-multimodal)",
        "Phi that sees",
        vision=True,
        reasoning=NEVER,
        images=ImageLimits(inline=INLINE),
        source=f"{CARDS}; {SCHEMAS}",
    ),
)
