"""Reads the JSON of an answer, and looks things up in it.

One odd value costs that value, and not the page it stands in. What JSON or Python could only change silently is kept as
the text that it was: numbers beyond 64 bits, beyond a float, or with more digits than one has. NaN and infinite
numbers, which JSON does not have, stay what they are: the field that should have one is flagged, and everywhere else
they are nothing (`lookup_of`). Bytes that are no characters become lone surrogates, which `core.storable` shows.

Where something stands is a JMESPath expression, compiled once; plain keys go without JMESPath. A document that nobody
has described is looked through level by level, and not without end.
"""

import codecs
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.storable import MAX_LEVELS, TOO_DEEP

# --- reading ---------------------------------------------------------------------------------------------------------

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
    """Return the JSON document that a body is: read in the short way where that surely says the same.

    Raises:
        UnknownCharset: the header names a charset that is none.
        SeveralDocuments: it is more than one document.
        ValueError: it is no whole JSON document.
    """
    named = _CHARSET.search(content_type)
    is_plain_utf8 = named is None or named[1].lower() == "utf-8"
    found = _read_shortly(raw) if is_plain_utf8 and raw[:1] in _OPENING else None
    return parse_text(decoded(raw, content_type)) if found is None else found


def parse_text(text: str) -> Any:
    """Return the JSON document that a text is, each value judged by itself: the long way, which knows all oddities.

    Raises:
        SeveralDocuments, ValueError: as in `read_json`.
    """
    text = text.rstrip("\x00")  # which ends a text in C
    try:
        try:
            return _decoder().decode(text)
        except RecursionError:
            return _decoder().decode(_without_deep_levels(text))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise SeveralDocuments from None
        raise


#: Documents that may be read in the short way: an object or a list, from the first byte on.
_OPENING = (b"{", b"[")
#: Each digit as 0, and all that may stand before a number as a colon.
_LIKENED = bytes.maketrans(b"123456789[,- \t\r\n", b"000000000:::::::")
_LONG_NUMBER = b":" + b"0" * 19
#: Escapes that stand for the quotation mark which ends a text elsewhere.
_QUOTE = b"\\u0022"


def _read_shortly(raw: bytes) -> dict[str, Any] | list[Any] | None:
    """Return what a body says, or None where the long way might find something else in it.

    The parser here takes whole numbers of any length, and lets the last one of equal keys count. So a long number is
    looked for before; and a key that appeared twice is missed in what would be written of it: two quotation marks.
    """
    if (b"\\" in raw and _QUOTE in raw) or _LONG_NUMBER in raw.translate(_LIKENED):
        return None
    try:
        found: dict[str, Any] | list[Any] = _SHORT_WAY.decode(raw)
        written = msgspec.json.encode(found)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return None
    return found if written.count(b'"') == raw.count(b'"') else None


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


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        strict=False,  # a raw line end or NUL inside of a text is a character like others
        parse_int=_whole,
        parse_float=_fraction,
        object_pairs_hook=_Objects(),
    )


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


_SHORT_WAY = msgspec.json.Decoder(float_hook=_fraction)


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


# --- by a path -------------------------------------------------------------------------------------------------------

#: Looks something up in a JSON value; None where it is not there.
Lookup: TypeAlias = Callable[[Any], Any]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


#: What the library lets through of Python: a text beside a number, `contains` of a number in a text, `ceil` of 1e999.
_PYTHONS_OWN = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class BadPath(ValueError):
    """The text is no JMESPath expression."""


class PathFailed(UnexpectedResponse):
    """The expression cannot be applied to what the carrier sent."""


@lru_cache(maxsize=1024)
def lookup_of(path: str) -> Lookup:
    """Return the function that looks a path up: `id`, `status.value` or any JMESPath expression.

    The function raises `PathFailed` where the expression meets values that it is not made for. NaN and infinite numbers
    are nothing: so do programs write what they do not have.

    Raises:
        BadPath: it is none.
    """
    look_up = value_lookup_of(path)
    return lambda value: _or_nothing(look_up(value))


@lru_cache(maxsize=1024)
def value_lookup_of(path: str) -> Lookup:
    """Return the function that looks a path up in a record, as `lookup_of` does, but with NaN and infinite numbers.

    Raises:
        BadPath: it is none.
    """
    if is_plain(path):
        head, *rest = path.split(".")
        return _in_depth(head, rest) if rest else _at_the_top(head)
    try:
        compiled = jmespath.compile(path)
    except JMESPathError as error:
        raise BadPath(f"{path!r} is no JMESPath expression: {' '.join(str(error).split())}") from None
    return lambda value: _searched(compiled.parsed, TreeInterpreter, path, value)


def list_lookup_of(path: str) -> Lookup:
    """Return the function that looks a list up, as `lookup_of` does.

    An element whose filter cannot be applied is kept: left out, it would look as if the carrier no longer had it.

    Raises:
        BadPath: it is not a path.
    """
    lookup = lookup_of(path)
    if is_plain(path):
        return lookup
    parsed = jmespath.compile(path).parsed
    return lambda value: _searched(parsed, _KeepingInterpreter, path, value)


def is_no_number(value: Any) -> bool:
    """Return whether a value is NaN or an infinite number, which JSON does not have and some programs send."""
    return isinstance(value, float) and not math.isfinite(value)


def top_level_key(path: str) -> str | None:
    """Return the key of a path that is nothing but a top-level key, otherwise None."""
    return path if "." not in path and is_plain(path) else None


def is_plain(path: str) -> bool:
    """Return whether a path is nothing but keys with dots between them."""
    return _PLAIN.fullmatch(path) is not None


def _or_nothing(value: Any) -> Any:
    return None if is_no_number(value) else value


def _at_the_top(key: str) -> Lookup:
    return lambda value: value.get(key) if isinstance(value, Mapping) else None


def _in_depth(head: str, rest: list[str]) -> Lookup:
    def look_up(value: Any) -> Any:
        found = value.get(head) if isinstance(value, Mapping) else None
        for key in rest:
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        return found

    return look_up


def _searched(parsed: Any, interpreter: type[TreeInterpreter], path: str, value: Any) -> Any:
    try:
        return interpreter().visit(parsed, value)
    except JMESPathError:  # a function that does not take what the carrier sent: it is not there
        return None
    except _PYTHONS_OWN as error:
        kind = type(error).__name__
    raise PathFailed(f"the path {path!r} cannot be applied to what the carrier sent ({kind})")


class _KeepingInterpreter(TreeInterpreter):
    """Keeps those elements of a list whose filter fails."""

    def visit_filter_projection(self, node: Any, value: Any) -> Any:
        """Return what the projection makes of the elements that the filter lets through."""
        listed, projected, condition = node["children"]
        base = self.visit(listed, value)
        if not isinstance(base, list):
            return None
        found = (self.visit(projected, element) for element in base if self._lets_through(condition, element))
        return [one for one in found if one is not None]

    def _lets_through(self, condition: Any, element: Any) -> bool:
        try:
            found = self.visit(condition, element)
        except (JMESPathError, *_PYTHONS_OWN):
            return True
        # JMESPath's truth: nothing and what is empty is false, and every number is true.
        return bool(found) or (isinstance(found, (int, float)) and found is not False)


# --- a document that nobody has described ----------------------------------------------------------------------------

#: An error document is small; of a larger one no more than this is looked at.
_MOST_MEMBERS = 1000
_DEEPEST = 6
_LONGEST_TEXT = 2000


def members(body: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of a document and of what is in it; an element of a list has the name of the list."""
    level, left = [("", body)], _MOST_MEMBERS
    for _ in range(_DEEPEST):
        found = list(islice((member for name, value in level for member in _children(name, value)), left))
        yield from found
        level, left = found, left - len(found)


def texts(body: Any) -> Iterator[str]:
    """Yield the start of every text in a document, of one that is a text its own; links are left out."""
    for value in [body, *(value for _, value in members(body))]:
        if isinstance(value, str) and not value.startswith(("http://", "https://")):
            yield value[:_LONGEST_TEXT]


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), member) for key, member in value.items())
    elif isinstance(value, list):
        yield from ((name, member) for member in value)
