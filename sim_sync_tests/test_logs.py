"""Logs for machines: one JSON object a line, whatever is logged."""

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.errors import ConfigError
from sim_sync.core.session import State
from sim_sync.logs import FORMAT_VARIABLE, JsonHandler, is_json, json_line, work_noted
from sim_sync_tests.fakes.figures import a_session


def a_record(message: str, *arguments: object, **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("sim_sync.carriers", logging.WARNING, __file__, 1, message, arguments, None)
    record.__dict__.update(fields)
    return record


def written(capsys: pytest.CaptureFixture[str], handler: JsonHandler, record: logging.LogRecord) -> Any:
    handler.emit(record)
    (line,) = capsys.readouterr().err.splitlines()
    return json.loads(line)


def test_a_record_is_an_object_with_its_time_level_logger_and_message() -> None:
    line = json.loads(json_line(a_record("attempt %d of %s", 2, "acme", created=1772416809.12), {}))
    assert line == {
        "time": "2026-03-02T02:00:09.120+00:00",
        "level": "WARNING",
        "logger": "sim_sync.carriers",
        "message": "attempt 2 of acme",
    }


@given(st.text())
def test_every_text_is_one_line_of_ascii_without_a_control_character(text: str) -> None:
    line = json_line(a_record("%s", text), {"carrier": text})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == text


def test_an_exception_is_in_the_object() -> None:
    try:
        int("no such page")
    except ValueError:
        line = json.loads(json_line(a_record("it failed", exc_info=sys.exc_info()), {}))
    assert line["message"] == "it failed"
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: 'no such page'")


def test_while_a_session_is_at_work_every_line_names_it_and_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    session = a_session(State.RUNNING)
    handler = JsonHandler(run="run-1")
    with work_noted(lambda: session):
        at_work = written(capsys, handler, a_record("x"))
        session = a_session(State.RUNNING, pages_done=8)
        later = written(capsys, handler, a_record("x"))
    after = written(capsys, handler, a_record("x"))
    assert (at_work["carrier"], at_work["session"], at_work["page"], at_work["run"]) == ("acme", "acme-1", 8, "run-1")
    assert later["page"] == 9
    assert not {"carrier", "session", "page"} & set(after)


@pytest.mark.parametrize(("given_", "expected"), [("json", True), ("text", False), ("", False)])
def test_the_variable_says_who_reads_the_logs(given_: str, *, expected: bool) -> None:
    assert is_json({FORMAT_VARIABLE: given_}) is expected
    assert is_json({}) is False


@pytest.mark.parametrize("odd", ["JSON", "xml", "json ", "1"])
def test_another_format_is_refused_with_those_that_there_are(odd: str) -> None:
    with pytest.raises(ConfigError, match=f"{FORMAT_VARIABLE}: expected text or json, found '{odd}'"):
        is_json({FORMAT_VARIABLE: odd})
