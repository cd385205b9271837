"""Reads the JSON of an answer so that one odd value costs that value, and not the page it stands in.

What JSON or Python could only change silently is kept as the text that it was: numbers beyond 64 bits, beyond a float,
or with more digits than one has. NaN and infinite numbers, which JSON does not have, stay what they are: the field that
should have one is flagged, and everywhere else they are nothing (`paths`). Bytes that are no characters become lone
surrogates, which `core.storable` shows.
"""

import codecs
import json
import math
import re
from decimal import Decimal
from typing import Any

from sim_sync.core.storable import MAX_LEVELS, TOO_DEEP

#: A float holds every whole number up to here.
_EXACT_BELOW = 2.0**53
#: Fewer digits than this surely fit in 64 bits.
_SHORT = 19
#: Longer than any number that was meant to be one.
_LONG = 400
_DIGIT = re.compile(r"[1-9]")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s"';,]+)""", re.IGNORECASE)
#: Python's codecs that are no charset of a text, or take a long time for a long one.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})
#: Charsets of one byte a letter, which servers name although they send UTF-8: bytes that are UTF-8 are no accident.
_ONE_BYTE = ("ascii", "iso8859", "cp125")
#: A text, or what opens and closes a level.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_LEFT_OUT = json.dumps(TOO_DEEP)


class UnknownCharset(ValueError):
    """The answer names a charset that nobody knows."""


class SeveralDocuments(ValueError):
    """One JSON document follows another."""


class NumberText(str):
    """A number that no number type here could hold, as it was sent."""

    __slots__ = ()


class Ambiguous(dict[str, Any]):
    """An object in which a key appears twice with two values, or which holds such an object: the last one counts."""

    __slots__ = ()


def read_json(raw: bytes, content_type: str) -> Any:
    """Return the JSON document that a body is.

    Raises:
        UnknownCharset: the header names a charset that is none.
        SeveralDocuments: it is more than one document.
        ValueError: it is no whole JSON document.
    """
    text = decoded(raw, content_type)
    try:
        return _parsed(text)
    except RecursionError:
        return _parsed(_without_deep_levels(text))


def decoded(raw: bytes, content_type: str) -> str:
    """Return a body as text, in the charset that its header names or, without one, that its first bytes show.

    Raises:
        UnknownCharset: the header names a charset that is none.
    """
    named = _CHARSET.search(content_type)
    charset = _python_name(named[1]) if named else "utf-8"
    if charset.startswith(_ONE_BYTE):
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return raw.decode(charset, _DAMAGED)
    if charset.startswith("utf-"):
        charset = json.detect_encoding(raw)  # which of them it is, its first bytes show better than a name
    return raw.decode(charset, _DAMAGED)


def _python_name(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
        b"    ".decode(name, "replace")
    except (LookupError, ValueError):
        name = "undefined"
    if name in _NO_CHARSETS:
        raise UnknownCharset(charset[:40])
    return name


def _as_surrogates(error: UnicodeError) -> tuple[str, int]:
    """Return each byte that is not a character as a lone surrogate, as Python's own `surrogateescape` does for some."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_DAMAGED = "sim_sync.surrogates"
codecs.register_error(_DAMAGED, _as_surrogates)


def _parsed(text: str) -> Any:
    decoder = json.JSONDecoder(
        strict=False,  # a raw line end or NUL inside of a text is a character like others
        parse_int=_whole,
        parse_float=_fraction,
        object_pairs_hook=_Objects(),
    )
    try:
        return decoder.decode(text.rstrip("\x00"))  # which ends a text in C
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise SeveralDocuments from None
        raise


def _whole(text: str) -> int | NumberText:
    if len(text) < _SHORT:
        return int(text)
    number = int(text) if len(text) <= _SHORT + 1 else 2**63
    return number if -(2**63) <= number < 2**63 else NumberText(text)


def _fraction(text: str) -> float | NumberText:
    number = float(text)
    if number == 0:
        is_kept = not _DIGIT.search(text.lower().partition("e")[0])
    elif -_EXACT_BELOW < number < _EXACT_BELOW:
        is_kept = True
    else:
        is_kept = math.isfinite(number) and len(text) < _LONG and Decimal(text) == Decimal(repr(number))
    return number if is_kept else NumberText(text)


class _Objects:
    """Makes the objects of one document, and notices keys that appear twice."""

    def __init__(self) -> None:
        self._is_ambiguous = False

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs) and not self._is_ambiguous:
            return found
        if any(found[key] is not value and found[key] != value for key, value in pairs) or any(
            map(_holds_ambiguous, found.values())
        ):
            self._is_ambiguous = True
            return Ambiguous(found)
        return found


def _holds_ambiguous(value: Any) -> bool:
    return isinstance(value, Ambiguous) or (isinstance(value, list) and any(map(_holds_ambiguous, value)))


def _without_deep_levels(text: str) -> str:
    """Return a JSON text whose levels deeper than `MAX_LEVELS` are left out."""
    kept: list[str] = []
    level, copied_to = 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            level += 1
            if level == MAX_LEVELS + 1:
                kept.append(text[copied_to : token.start()])
        elif token[0] in "]}":
            level -= 1
            if level == MAX_LEVELS:
                kept.append(_LEFT_OUT)
                copied_to = token.end()
    return "".join([*kept, text[copied_to:]]) if level == 0 else text[:0]
