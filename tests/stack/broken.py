"""A module whose dependency is not installed."""

import no_such_dependency  # noqa: F401
