"""Texts from outside in what Dagster's UI renders as Markdown: descriptions of check results."""

import re

from sim_sync.core.printable import printable

_BACKTICKS = re.compile(r"`+")


def code_span(text: str) -> str:
    """Return a text as a code span (CommonMark, 6.1): no image in it is fetched, no link in it can be followed."""
    shown = printable(text)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest or shown != shown.strip(" ") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"
