"""Texts in short, for messages and tables."""


def shorten(text: str, longest: int) -> str:
    """Return the beginning of a text of more than `longest` characters, marked as such."""
    return text if len(text) <= longest else f"{text[:longest]} ..."


def one_line(text: str, longest: int) -> str:
    """Return a text in one line, without runs of white space, and in short."""
    return shorten(" ".join(text.split()), longest)
