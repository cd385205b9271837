"""The one rule about what databases can hold: it changes nothing that can be held, and leaves nothing that cannot."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.storable import (
    DAMAGED,
    MAX_COUNT,
    MAX_KEY_BYTES,
    MAX_LEVELS,
    canonical_json,
    is_storable,
    key_problem,
    storable_count,
    storable_json,
    storable_text,
)

#: Every character, lone surrogates and NUL too.
ANY = st.characters(exclude_categories=[])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(ANY, max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(ANY, max_size=4), inner, max_size=3),
    max_leaves=10,
)
storable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(ANY))
def test_a_text_is_stored_as_it_is_or_shows_where_it_is_not(text: str) -> None:
    stored = storable_text(text)
    assert len(stored) == len(text)
    assert "\x00" not in stored
    stored.encode()
    assert is_storable(stored)
    assert all(now in {before, DAMAGED} for now, before in zip(stored, text, strict=True))
    assert (stored == text) == is_storable(text)


@given(anything)
def test_json_of_any_value_can_be_held_and_read_back(value: Any) -> None:
    text = storable_json(value)
    text.encode()
    assert "\x00" not in json.dumps(json.loads(text, parse_constant=pytest.fail), ensure_ascii=False)


@given(storable.filter(lambda value: "\x00" not in json.dumps(value, ensure_ascii=False)))
def test_json_that_can_be_held_is_not_changed(value: Any) -> None:
    if "\\u0000" not in json.dumps(value):
        assert storable_json(value) == canonical_json(value)


def test_a_text_that_only_looks_like_an_escaped_nul_is_not_changed() -> None:
    assert json.loads(storable_json({"a": "\\u0000"})) == {"a": "\\u0000"}


def test_two_keys_that_become_one_stay_two() -> None:
    assert json.loads(storable_json({"a\x00": 1, "a\ufffd": 2})) == {"a\ufffd": 1, "a\ufffd\ufffd": 2}


def test_a_number_that_json_does_not_have_or_nobody_writes_is_null() -> None:
    for value in (float("nan"), float("inf"), float("-inf"), 10**5000, -(10**5000)):
        assert storable_json([value, 1]) == "[null,1]"


@pytest.mark.parametrize("levels", [MAX_LEVELS - 1, MAX_LEVELS, 5000])
def test_json_is_as_deep_as_databases_read_it(levels: int) -> None:
    value: Any = []
    for _ in range(levels):
        value = [value]
    text = storable_json(value)
    assert text.count("[") == min(levels + 1, MAX_LEVELS)
    assert (DAMAGED in text) == (levels >= MAX_LEVELS)


def test_a_count_beyond_64_bits_is_none() -> None:
    assert [storable_count(count) for count in (None, 0, MAX_COUNT, MAX_COUNT + 1, 10**400)] == [
        *(None, 0, MAX_COUNT),
        *(None, None),
    ]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("a", None),
        ("x" * MAX_KEY_BYTES, None),
        ("x" * (MAX_KEY_BYTES + 1), "1,001 bytes"),
        ("ä" * 500, None),
        ("\N{SNOWMAN}" * 334, "1,002 bytes"),
        ("a\x00", "a NUL or a lone surrogate in it"),
        ("\udc80", "a NUL or a lone surrogate in it"),
    ],
)
def test_a_key_is_held_as_it_is_or_not_at_all(key: str, problem: str | None) -> None:
    assert key_problem(key) == problem
