"""A cursor in a JSON column, whatever characters the carrier put into it: a place must come back as it was."""

import json
from typing import Any

from sim_sync.core.pages import Cursor
from sim_sync.core.storable import DAMAGED, is_storable

#: A text behind it is the JSON escape of one that no database can hold.
_ESCAPED = DAMAGED


def stored_cursor(cursor: Cursor | None) -> Any:
    """Return a cursor as it is written: texts that no database can hold, escaped."""
    return None if cursor is None else _in_texts(cursor, _escaped)


def cursor_from_stored(stored: Any) -> Cursor | None:
    """Return the cursor that was written."""
    found: Cursor | None = _in_texts(stored, _unescaped)
    return found


def _escaped(text: str) -> str:
    return text if is_storable(text) and not text.startswith(_ESCAPED) else _ESCAPED + _ascii_json(text)


def _ascii_json(text: str) -> str:
    # Doubled, so that a reader of JSON finds the escapes and not the characters.
    return json.dumps(text)[1:-1]


def _unescaped(text: str) -> str:
    return str(json.loads(f'"{text[1:]}"')) if text.startswith(_ESCAPED) else text


def _in_texts(value: Any, change: Any) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {change(key): _in_texts(member, change) for key, member in value.items()}
        case list() | tuple():
            return [_in_texts(member, change) for member in value]
        case _:
            return value
