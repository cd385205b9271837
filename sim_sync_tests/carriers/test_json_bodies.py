"""The JSON of an answer: one odd value costs that value, and never becomes another one without a word."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim_sync.carriers.json_bodies import Ambiguous, NumberText, SeveralDocuments, UnknownCharset, parse_text, read_json
from sim_sync.core.storable import storable_json

TEXT = '{"city": "Zürich"}'
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-(2.0**52), 2.0**52, allow_subnormal=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def value_of(text: str) -> Any:
    return read_json(f'{{"x": {text}}}'.encode(), "")["x"]


@given(json_values)
def test_what_json_and_python_hold_is_read_as_python_reads_it(value: Any) -> None:
    assert read_json(json.dumps(value).encode(), "application/json") == value


#: JSON as nobody should write it, and somebody does: keys twice, escapes, spaces anywhere, numbers of any kind.
odd_pieces = st.sampled_from(
    [
        *(
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\n",
            '"',
            "\\",
            "\\u0022",
            '\\"',
            "\\\\",
            "\\/",
            "\\u00e9",
            "\\ud83d\\ude00",
        ),
        *(
            '"a"',
            '"a":',
            '"a" :',
            '"b":',
            '":"',
            '"é"',
            '"\x01"',
            '"\\ud800"',
            '"8988307000000000013"',
            "null",
            "true",
            "NaN",
        ),
        *("1", "-0", "01", "1.5", "1e5", "1E400", "-1e-400", "9007199254740993.5", "1e22", "0.1", "\x00", "\ufeff"),
        *("89883070000000000139", "-89883070000000000139", "9223372036854775807", "9223372036854775808"),
        *('{"a":1,"a":2}', '{"a":1,"a":1}', '{"a":1,"a":2,"b" :3}', '{"a":"\\u0022","a":2}', '{"a":{"b":1,"b":2}}'),
        *('"a":1,"a":2', '"a":[1],', "[[1],[2]]", " -89883070000000000139", '{"a": 89883070000000000139}'),
    ]
)
odd_texts = st.lists(odd_pieces, max_size=9).map("".join)


def outcome(text: str, *, shortly: bool) -> Any:
    try:
        found = read_json(text.encode(), "application/json") if shortly else parse_text(text.removeprefix("\ufeff"))
    except ValueError as error:
        return type(error), str(error)
    return types_and_values(found)


def types_and_values(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value), [(key, types_and_values(member)) for key, member in value.items()]
    if isinstance(value, list):
        return [types_and_values(member) for member in value]
    return type(value), repr(value)


@settings(max_examples=500)
@given(st.one_of(odd_texts, odd_texts.map(lambda text: f"[{text}]"), odd_texts.map(lambda text: f'{{"x":{text}}}')))
@example('{"a":1,"a":2,"b" :3}')
@example('{"a":"\\u0022\\u0022","a":2}')
@example('{"a":1e2,"a":1}')
@example("[1 ,-89883070000000000139]")
def test_the_short_way_and_the_long_way_read_the_same(text: str) -> None:
    assert outcome(text, shortly=True) == outcome(text, shortly=False)


@given(json_values.flatmap(lambda value: st.sampled_from([json.dumps(value), json.dumps(value, indent=1)])))
def test_both_ways_read_whatever_is_written_well(text: str) -> None:
    assert outcome(text, shortly=True) == outcome(text, shortly=False)


@given(st.integers())
def test_a_whole_number_keeps_all_its_digits_as_a_number_or_as_text(number: int) -> None:
    found = value_of(str(number))
    assert str(found) == str(number)
    assert isinstance(found, int) == (-(2**63) <= number < 2**63)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1e-999", "8.9883070000000000139e19", "12345678901234567.89"])
def test_a_number_that_no_float_holds_is_the_text_that_was_sent(text: str) -> None:
    found = value_of(text)
    assert isinstance(found, NumberText)
    assert found == text


@pytest.mark.parametrize(
    ("text", "number"), [("0.0", 0.0), ("-0.0", 0.0), ("0.00e5", 0.0), ("1e20", 1e20), ("0.10000000000000001", 0.1)]
)
def test_other_numbers_are_numbers(text: str, number: float) -> None:
    assert value_of(text) == number


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_finite_one(text: str) -> None:
    assert not math.isfinite(value_of(text))


def test_a_key_that_stands_once_is_unambiguous_whatever_its_value() -> None:
    found = read_json(b'[{"x": 1, "x": 1, "y": NaN}, {"x": NaN, "y": 1}]', "")
    assert [isinstance(one, Ambiguous) for one in found] == [False, False]


def test_a_number_of_5000_digits_stops_nothing() -> None:
    assert value_of("9" * 5000) == "9" * 5000
    assert not math.isnan(value_of("0." + "1" * 5000))


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-be"),
        ("utf-16le", "utf-16-le"),
        ("utf-32", "utf-32"),
        ("ISO-8859-1", "latin-1"),
        ("iso-8859-15", "iso-8859-15"),
        ("windows-1252", "cp1252"),
        ("macintosh", "mac-roman"),
        ("ibm850", "cp850"),
        ("gb18030", "gb18030"),
    ],
)
@pytest.mark.parametrize("form", ["application/json; charset={}", 'application/json;charset="{}"', "x; Charset = {}"])
def test_a_body_is_read_in_the_charset_that_its_header_names(charset: str, encoding: str, form: str) -> None:
    assert read_json(TEXT.encode(encoding), form.format(charset)) == {"city": "Zürich"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32"])
def test_without_a_name_the_first_bytes_show_the_charset(encoding: str) -> None:
    assert read_json(TEXT.encode(encoding), "application/json") == {"city": "Zürich"}


@pytest.mark.parametrize("charset", ["ISO-8859-1", "us-ascii", "windows-1252"])
def test_utf_8_under_a_name_that_servers_put_on_everything_is_utf_8(charset: str) -> None:
    assert read_json(TEXT.encode(), f"application/json; charset={charset}") == {"city": "Zürich"}


@pytest.mark.parametrize("charset", ["klingon", "rot13", "base64", "zlib", "idna", "punycode", "undefined", "x" * 500])
def test_a_charset_that_is_none_is_named(charset: str) -> None:
    with pytest.raises(UnknownCharset) as refused:
        read_json(b"{}", f"application/json; charset={charset}")
    assert str(refused.value) == charset[:40]


@pytest.mark.parametrize("header", ["", "charset=utf-8", "charset=us-ascii", "charset=shift_jis", "charset=cp1252"])
def test_bytes_that_are_no_characters_cost_these_characters(header: str) -> None:
    found = read_json(b'{"a": "x\x81\xffy", "b": "z"}', header)
    assert found["b"] == "z"
    assert found["a"][0] == "x"
    assert any("\ud800" <= char <= "\udfff" for char in found["a"])


def test_raw_control_characters_in_a_text_are_characters() -> None:
    assert read_json(b'{"a": "x\x00\n\ty"}', "") == {"a": "x\x00\n\ty"}
    assert read_json(b'{"a": 1}\x00', "") == {"a": 1}


@pytest.mark.parametrize("raw", [b"{}{}", b"{}\n{}\n", b"[1]\nWarning: mysqli", b"1 2"])
def test_one_document_after_another_is_none(raw: bytes) -> None:
    with pytest.raises(SeveralDocuments):
        read_json(raw, "")


@pytest.mark.parametrize("levels", [40, 400, 2_000, 50_000])  # where Python's own limit is, its version decides
def test_levels_without_end_are_left_out_and_what_stands_beside_them_is_read(levels: int) -> None:
    deep = '{"a": [' * levels + '"]{[\\""' + "]}" * levels
    found = read_json(f'{{"deep": {deep}, "beside": 1}}'.encode(), "")
    assert found["beside"] == 1
    assert ("more than 100 levels" in storable_json(found["deep"])) is (2 * levels > 100)


def test_levels_that_are_not_closed_are_no_document() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read_json(b"[" * 100_000, "")


def test_a_key_that_appears_twice_with_two_values_is_noticed_and_so_is_what_holds_it() -> None:
    found = read_json(b'{"a": {"b": [{"c": 1, "c": 2}], "d": {}}, "e": {"f": 1, "f": 1}}', "")
    assert found == {"a": {"b": [{"c": 2}], "d": {}}, "e": {"f": 1}}
    ambiguous = [found, found["a"], found["a"]["b"][0]]
    assert all(isinstance(one, Ambiguous) for one in ambiguous)
    assert not isinstance(found["a"]["d"], Ambiguous)
    assert not isinstance(found["e"], Ambiguous)
