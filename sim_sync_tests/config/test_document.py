from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.config.document import read_document
from sim_sync.core.errors import ConfigError


def read(folder: Path, text: str) -> Any:
    path = folder / "carriers.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(path)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("OFF", "OFF"),
        ("0001", "0001"),
        ("2000-01-01", "2000-01-01"),
        ("12:30:45", "12:30:45"),
        ("1e5", "1e5"),
        ("0x1F", "0x1F"),
        ("89883070000123456789", 89883070000123456789),
        ("-3", -3),
        ("0.5", 0.5),
        ("true", True),
        ("~", None),
        ("", None),
    ],
)
def test_words_and_identifiers_stay_what_they_are(tmp_path: Path, written: str, value: object) -> None:
    assert read(tmp_path, f"key: {written}")["key"] == value


def test_merge_keys_work(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}"
    assert read(tmp_path, text)["mine"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "an empty file"),
        ("- a\n- b", "list"),
        ("just words", "str"),
        ("a: 1\nb: [1, 2", "line 2"),
        ("a: 1\na: 2", "the key 'a' appears twice"),
        ("carriers:\n  x: {y: 1, y: 2}", "line 2, column 13: expected valid YAML: the key 'y' appears twice"),
        ("a: !!python/object/apply:os.system [true]", "valid YAML"),
        ("a: *nowhere", "line 1"),
        ("\ta: 1", "line 1"),
        ("a: \x00", "valid YAML"),
        ("a: " + "9" * 5000, "valid YAML"),
        ("a: {[b]: 1}", "line 1, column 5: expected valid YAML: a key that is a list or a mapping"),
        ("a: &a {*a : 1}", "line 1"),
    ],
)
def test_what_is_no_config_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    assert told in str(refused.value)
    assert str(tmp_path / "carriers.yaml") in str(refused.value)


def test_a_syntax_error_does_not_show_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, "auth: {token: very-secret-token")
    assert "very-secret-token" not in str(refused.value)


def test_a_missing_file_says_where_the_config_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SIM_SYNC_CONFIG"):
        read_document(tmp_path / "nowhere.yaml")


def test_a_folder_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_document(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="text in UTF-8"):
        read_document(tmp_path / "binary.yaml")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_but_never_breaks(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "carriers.yaml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with suppress(ConfigError):
        read_document(path)


def _joined(start: str, parts: list[str], end: str) -> str:
    return f"{start}{', '.join(parts)}{end}"


_SCALARS = ["1", "-3", "0.5", ".5", "true", "Null", "~", "", "'1'", "'<<'", "<<", "x y", "0001", "1e5"]
_MARKED = ["&m 7", "*m", "*base", "&base [1, *m]", "*nowhere", "!!str 5", "! 5", "&m {b: 3, c: 4}"]
_KEYS = ["a", "b", "1", "1.0", "'1'", "true", "<<", "'<<'", "&k c", "*m", "[a]", "~"]
_VALUES = st.recursive(
    st.sampled_from(_SCALARS + _MARKED),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: _joined("[", parts, "]"))
        | st.lists(st.tuples(st.sampled_from(_KEYS), inner).map(": ".join), max_size=4).map(
            lambda parts: _joined("{", parts, "}")
        )
    ),
    max_leaves=12,
)


@given(st.lists(_VALUES, max_size=3))
def test_a_file_means_the_same_and_is_refused_alike_where_it_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    lines = [f"key{number}: {value}" for number, value in enumerate(values)]
    text = "\n".join(["base: &base {a: 1, b: {c: [2]}}", "more: &m {b: 2, d: ~}", *lines])
    folder = tmp_path_factory.mktemp("any")
    # A tag makes the whole file one that the exact loader reads.
    found, exact = (_told(folder, each) for each in (text, f"{text}\ntagged: !!str x\n"))
    assert found == exact.removesuffix(", 'tagged': 'x'}") + "}" * exact.endswith(", 'tagged': 'x'}")


def _told(folder: Path, text: str) -> str:
    try:
        return repr(read(folder, text))
    except ConfigError as refused:
        return str(refused)
