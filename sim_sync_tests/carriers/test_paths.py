"""Paths: plain keys take a short way that must not differ from JMESPath's."""

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.json_bodies import BadPath, is_no_number, is_plain, lookup_of, top_level_key, value_lookup_of

keys = st.sampled_from(["a", "b", "c_1"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(path=st.lists(keys, min_size=1, max_size=4).map(".".join), value=values)
def test_the_short_way_finds_what_jmespath_finds(path: str, value: Any) -> None:
    assert is_plain(path)
    assert lookup_of(path)(value) == jmespath.search(path, value)


def test_expressions_are_jmespath() -> None:
    assert lookup_of("links[?rel=='next'].href | [0]")({"links": [{"rel": "next", "href": "/2"}]}) == "/2"
    assert lookup_of('"page[number]"')({"page[number]": 1}) == 1


def test_a_function_that_does_not_take_what_came_finds_nothing() -> None:
    assert lookup_of("contains(name, 'x')")({"name": 7}) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("path", ["a", "b.c", "a || b.c", "[a] | [0]"])
def test_what_is_no_number_is_nothing_but_in_a_record(path: str, value: float) -> None:
    body = {"a": value, "b": {"c": value}}
    assert lookup_of(path)(body) is None
    assert is_no_number(value_lookup_of(path)(body))


@pytest.mark.parametrize("path", ["a..b", "a[", "", "f(", "a b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadPath, match="is no JMESPath expression"):
        lookup_of(path)


def test_only_a_single_plain_key_is_one() -> None:
    assert [top_level_key(path) for path in ("id", "a.b", "a[0]", "@")] == ["id", None, None, None]
