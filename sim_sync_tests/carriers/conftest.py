from collections.abc import Iterator

import pytest

from sim_sync_tests.carriers.odd_nights import Harness


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    """Serve the odd list that a test puts on it."""
    found = Harness()
    found.server.start()
    yield found
    found.server.stop()
