"""What is promised about a carrier's limit and about a kill, as figures."""

import time
from collections.abc import Iterator

from sim_sync.selftest.trials import TrialRunner, kill_at_random_times
from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases, scene

_PAGE_SIZE = 20
_LIMIT = 40


def rate_limit(pages: int) -> Iterator[Figure]:
    """Measure how much of a limit a walk by page number uses, and the most requests in any one second."""
    settings = {
        "auth": dict(simulated_credentials("telnyx")),
        "rate_limit": {"requests_per_second": _LIMIT, "max_in_flight": 4},
    }
    with databases() as urls:
        mount = MountOptions(vendor="telnyx", sims=pages * _PAGE_SIZE)
        with scene(urls["SQLite"], mount, page_size=_PAGE_SIZE, vendor_settings=settings) as place:
            started = time.perf_counter()
            place.sync()
            seconds = time.perf_counter() - started
            peak = place.simulator.fetch_mount_state().peak_list_requests_per_second
    share = 100 * (pages - 1) / seconds / _LIMIT
    yield Figure(
        f"share of a limit of {_LIMIT} requests/s that is used, 4 in flight, {pages} pages", share, "%", at_least=97
    )
    yield Figure("most requests in any one second, as a share of the limit", 100 * peak / _LIMIT, "%", at_most=100)


def kills(count: int) -> Iterator[Figure]:
    """Measure the pages that are fetched again after kills at random times."""
    result = kill_at_random_times(TrialRunner(None), lambda _line: None, count)
    if result.problems:
        raise RuntimeError("; ".join(result.problems))
    what = f"pages fetched again for each of {result.kills} kills at random times"
    # The page in hand, and the one that was asked for ahead.
    yield Figure(what, result.pages_fetched_again / result.kills, "", at_most=2)
