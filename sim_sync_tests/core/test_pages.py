import json
import re

from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.pages import Cursor, Effort, Page, cursor_digest
from sim_sync.core.storable import canonical_json

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
cursors = st.dictionaries(
    st.sampled_from(["page", "token", "after", "ä"]), st.none() | st.integers() | st.text(max_size=5)
)


@given(json_values)
def test_canonical_json_is_read_back_as_it_was(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


def test_canonical_json_has_sorted_keys_no_spaces_and_plain_letters() -> None:
    assert canonical_json({"ü": [1, None], "a": {"c": True, "b": "x y"}}) == '{"a":{"b":"x y","c":true},"ü":[1,null]}'


@given(cursors)
def test_the_order_of_a_cursors_keys_does_not_matter(cursor: Cursor) -> None:
    assert cursor_digest({key: cursor[key] for key in reversed(list(cursor))}) == cursor_digest(cursor)


@given(cursors)
def test_a_cursor_keeps_its_digest_when_it_was_stored(cursor: Cursor) -> None:
    digest = cursor_digest(cursor)
    assert cursor_digest(json.loads(canonical_json(cursor))) == digest
    assert re.fullmatch(r"[0-9a-f]{16}", digest)


@given(cursors, cursors)
def test_different_cursors_have_different_digests(one: Cursor, other: Cursor) -> None:
    assert (cursor_digest(one) == cursor_digest(other)) == (one == other)


def test_a_page_that_was_had_at_once_cost_nothing() -> None:
    page = Page(sims=[], next_cursor=None, records=0)
    assert page.effort == Effort(retries=0, throttled_seconds=0.0, last_error=None)
    assert (page.rejected, page.records_total, page.pages_total) == ((), None, None)
