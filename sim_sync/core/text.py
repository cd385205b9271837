"""How texts are made safe to print, and how counts, lists and durations are written."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

# Text from outside as it may be shown: what a terminal acts on, or nobody would see, is written out.
#
# Carriers, our own list and databases hold texts that somebody typed. In a terminal an escape sequence clears the
# screen, a bidirectional override turns a line round, and a text with a zero-width space looks like another one.

#: Code points that `str.isprintable` takes for letters, marks or symbols, and that nothing is drawn for.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def printable(text: str) -> str:
    r"""Return a text with everything in it that is not drawn as one visible sign written as Python's escape of it.

    That is: control characters (C0, DEL, C1), line ends, tabs, format characters (bidirectional, zero-width, tags), all
    spaces but the ordinary one, line and paragraph separators, surrogates, unassigned and private code points. ESC is
    the four characters `\x1b` then. A backslash stays what it is: this is for eyes, and done twice it changes nothing.
    """
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(map(_written_out, text))


def printable_lines(text: str) -> str:
    """Return a text of several lines of ours, each of them printable."""
    return "\n".join(map(printable, text.split("\n")))


def _written_out(char: str) -> str:
    if char.isprintable() and char not in _INVISIBLE:
        return char
    return char.encode("unicode_escape").decode("ascii")


# Numbers of things, lists, percentages and durations in sentences.


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 page`, `2 pages`, `1,345 pages`; `plural` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def bounded_list(lines: Sequence[str], noun: str, longest: int) -> str:
    """Return the lines as one, joined with `; `: where that grows too long, the first of them and how many are left.

    `longest` is in bytes of ASCII JSON: so does Dagster write what it keeps. A line is cut where it takes too much.
    """
    whole = "; ".join(lines)
    if _size(whole) <= longest:
        return whole
    room = longest - len(f"; and {counted(len(lines), f'more {noun}')}")
    short = [_cut(line, room // 3 if len(lines) > 1 else longest) for line in lines]
    ends = list(accumulate(_size(line) + 2 for line in short))
    shown = max(bisect_right(ends, room + 2), 1)
    rest = f"; and {counted(len(lines) - shown, f'more {noun}')}" if shown < len(lines) else ""
    return "; ".join(short[:shown]) + rest


def _size(text: str) -> int:
    return len(json.dumps(text)) - 2


def _cut(text: str, longest: int) -> str:
    if _size(text) <= longest:
        return text
    ends = list(accumulate(map(_size, text)))
    return text[: bisect_right(ends, longest - 3)] + "..."


def percent_text(percent: float) -> str:
    """Return `62.9 %` or `58.0 %`: one form everywhere, so that columns stand still."""
    return f"{percent:.1f} %"


def duration_text(seconds: float) -> str:
    """Return a duration as `m:ss` or `h:mm:ss`."""
    seconds = max(round(seconds), 0)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
