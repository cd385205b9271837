import csv
import io
import unicodedata
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.text import printable
from sim_sync.terminal.output import guarded, write_csv
from sim_sync_tests.fakes.hostile_texts import CONTROLS, FORMULAS, MARKUPS

IDENTIFIERS = ("89883070000000000139", "8988307000000000013", "001010123456789", "234501234567890", "+4915123450000")


def written(*rows: tuple[object, ...]) -> str:
    stream = io.StringIO(newline="")
    write_csv(stream, ["one", "two"], rows)
    return stream.getvalue()


def is_a_formula(cell: str) -> bool:
    """Return whether a spreadsheet program would take a cell for one, blanks and quotes before it passed over."""
    return unicodedata.normalize("NFKC", cell.lstrip(' "')[:1])[:1] in tuple("=+-@|\t\r\n")


@pytest.mark.parametrize("text", [*FORMULAS, *CONTROLS], ids=ascii)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_cell_is_a_formula_whatever_the_file_is_split_at(text: str, delimiter: str) -> None:
    content = written((text, text), (1, text))
    cells = [cell for row in csv.reader(io.StringIO(content), delimiter=delimiter) for cell in row]
    cells += [cell for line in content.splitlines() for cell in line.split(delimiter)]  # by one that knows no quotes
    assert [cell for cell in cells if cell and is_a_formula(cell)] == []


@given(st.text(st.characters()), st.text(st.characters()))
def test_of_any_two_texts_none_is_a_formula_and_both_are_cells(one: str, two: str) -> None:
    header, row = csv.reader(io.StringIO(written((one, two)), newline=""))
    assert (len(header), len(row)) == (2, 2)
    assert not any(is_a_formula(part) for cell in row for part in cell.split(";"))


def test_a_header_is_guarded_as_well() -> None:
    stream = io.StringIO(newline="")
    write_csv(stream, ["=1+1"], [])
    assert stream.getvalue() == "'=1+1\r\n"


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_an_identifier_is_text_for_pandas_without_a_word_about_types(identifier: str) -> None:
    frame = pd.read_csv(io.StringIO(written((identifier, 3))))
    assert list(frame["one"].str.removeprefix("'")) == [identifier]
    assert list(frame["two"]) == [3]


@pytest.mark.parametrize("number", [*IDENTIFIERS, "1E5", "007", "1.50", "123456789012", "8,988E+18"])
def test_digits_that_a_number_would_not_give_back_are_text(number: str) -> None:
    assert guarded(number) == f"'{number}"


@pytest.mark.parametrize("text", ["", "active", "0", "12", "12345678901", "truck 7", "a-b", "a=b", "x;y", "10.0.0.x"])
def test_what_is_safe_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@given(st.text(st.characters(exclude_characters=";")))
def test_one_apostrophe_taken_off_gives_the_text_back(text: str) -> None:
    assert guarded(text).removeprefix("'") == printable(text)


@pytest.mark.parametrize("text", CONTROLS, ids=ascii)
def test_control_characters_are_written_out(text: str) -> None:
    assert guarded(text).isprintable()


@pytest.mark.parametrize("text", [text for text in MARKUPS if not text.startswith("'")])
def test_markup_of_other_programs_is_no_concern_of_a_spreadsheet(text: str) -> None:
    assert guarded(text) == text


def test_numbers_times_and_gaps_are_not_guarded() -> None:
    at = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert written((-5, at), (None, 1.5)).splitlines()[1:] == ["-5,2026-03-02T02:00:00+00:00", ",1.5"]
