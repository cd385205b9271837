"""Walks in every style, killed and resumed at any place, over lists that stand still or lose rows on the way."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.pages import cursor_digest
from sim_sync_tests.carriers.listings import BLIND, STEADY, Style, ids_in, path_of, stored

EVERY = [*STEADY, *BLIND]

rows = st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted)
sizes = st.integers(1, 12)
#: At which requests the process dies after the answer came and before it was committed.
kills = st.sets(st.integers(0, 60), max_size=10)
#: Before which requests rows leave, by their places in what is left.
removals = st.lists(st.tuples(st.integers(0, 40), st.lists(st.integers(0, 39), max_size=6)), max_size=6)


def walk(
    style: Style,
    listed: list[int],
    size: int,
    *,
    dies_at: set[int] | None = None,
    leaving: dict[int, list[int]] | None = None,
) -> Iterator[list[int]]:
    """Yield the ids of every committed page. Each step is done by a new rule: nothing is kept but the cursor."""
    cursor = style.rule(size).first_cursor()
    used = {cursor_digest(cursor)}
    left = set(dies_at or ())
    for received in range(10_000):
        for row in (leaving or {}).get(received, []):
            listed.remove(row)
        rule = style.rule(size)
        found = style.give(rule.request(cursor), listed, size)
        if received in left:
            continue
        following = rule.next_cursor(cursor, found, path_of)
        yield ids_in(found)
        if following is None:
            return
        digest = cursor_digest(following)
        assert digest not in used, "the store refuses a cursor that it has seen"
        used.add(digest)
        cursor = stored(following)
    pytest.fail("the walk does not end")


@pytest.mark.parametrize("style", EVERY, ids=str)
@given(listed=rows, size=sizes, dies_at=kills)
def test_a_walk_sees_every_row_whenever_it_was_killed(
    style: Style, listed: list[int], size: int, dies_at: set[int]
) -> None:
    seen = [row for page in walk(style, list(listed), size, dies_at=dies_at) for row in page]
    assert seen == listed


@pytest.mark.parametrize("style", EVERY, ids=str)
@given(listed=rows, size=sizes)
def test_a_list_that_stands_still_takes_one_request_a_page(style: Style, listed: list[int], size: int) -> None:
    assert sum(1 for _ in walk(style, list(listed), size)) == style.requests(listed, size)


@pytest.mark.parametrize("style", STEADY, ids=str)
@given(listed=rows, size=sizes, dies_at=kills, removals=removals)
def test_a_walk_sees_every_row_that_was_there_all_along(
    style: Style, listed: list[int], size: int, dies_at: set[int], removals: list[tuple[int, list[int]]]
) -> None:
    there = list(listed)
    leaving: dict[int, list[int]] = {}
    for received, places in removals:
        for place in places:
            if place < len(there):
                leaving.setdefault(received, []).append(there.pop(place))
    seen = {row for page in walk(style, list(listed), size, dies_at=dies_at, leaving=leaving) for row in page}
    assert seen >= set(there)


def test_a_style_that_is_told_no_total_does_miss_rows_which_is_why_totals_are_used() -> None:
    blind = next(style for style in BLIND if style.name == "page number, last page")
    steady = next(style for style in STEADY if style.name == "page number, last page and total")
    leaving = {1: [0]}
    assert [row for page in walk(blind, list(range(6)), 2, leaving=leaving) for row in page] == [0, 1, 3, 4, 5]
    assert {row for page in walk(steady, list(range(6)), 2, leaving=leaving) for row in page} == set(range(6))
