import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.errors import ConfigError, Problem, SimSyncError
from sim_sync.core.text import printable, printable_lines
from sim_sync_tests.fakes.hostile_texts import CONTROLS


@given(st.text(st.characters()))
def test_what_is_printable_is_drawn_sign_by_sign_and_stays_so(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


@given(st.text(st.characters()))
def test_a_text_of_visible_signs_stays_what_it_is(text: str) -> None:
    visible = "".join(char for char in text if char.isalnum() and char.isprintable() and ord(char) < 0x3000)
    kept = visible.replace("\u115f", "").replace("\u1160", "")
    assert printable(kept) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\tb\r\n", r"a\tb\r\n"),
        ("\x9b1m\x7f\x00", r"\x9b1m\x7f\x00"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("truck\u200b 1\xa0", r"truck\u200b 1\xa0"),
        ("\u3164\U000e0041\ud800", r"\u3164\U000e0041\ud800"),
    ],
)
def test_what_is_not_drawn_is_written_as_pythons_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["Łódź 北京 №5", "truck 🚚", r"a\b", "l'été — 3 %", ""])
def test_names_of_all_countries_are_left_alone(text: str) -> None:
    assert printable(text) == text


def test_the_lines_of_a_message_stay_lines() -> None:
    assert printable_lines("one\n  two\x1b\r\n") == "one\n  two\\x1b\\r\n"


@pytest.mark.parametrize("text", CONTROLS, ids=ascii)
def test_no_error_carries_a_control_character_whatever_it_quotes(text: str) -> None:
    assert str(SimSyncError(f"found {text}").with_context("page 2")) == f"page 2: found {printable(text)}"


@pytest.mark.parametrize("text", CONTROLS, ids=ascii)
def test_a_problem_of_the_config_is_one_line_whatever_it_quotes(text: str) -> None:
    lines = str(ConfigError([Problem("carriers.yaml", text, text, text)] * 2)).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
