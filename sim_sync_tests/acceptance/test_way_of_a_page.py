"""A page passes few files and few layers, so that one person can follow it."""

import pytest

from sim_sync_tests.bench.structure import way_of_a_page


@pytest.mark.slow
def test_the_way_of_a_page_stays_short() -> None:
    way = way_of_a_page()  # the thread that sends the request ahead is counted, too
    assert way["files of one page"] <= 29
    assert way["own frames deep"] <= 16
