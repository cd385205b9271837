"""How far our own list is loaded by a run in this process, in the terminal: before that, there is no page to report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sim_sync.cli.output import say

#: The logger of `sim_sync.defs.our_list`, which imports Dagster.
LOADING = "sim_sync.loading"


@contextmanager
def loading_told() -> Iterator[None]:
    """Say what the load reports, every few seconds of a long list."""
    logger, handler = logging.getLogger(LOADING), _SayingHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _SayingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())
