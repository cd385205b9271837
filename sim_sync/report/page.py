"""The page of a report: one HTML file with its style and its script in it, which may load nothing from anywhere.

Whatever a carrier, a list or a database says is text here: the template escapes it, what nobody would see is written
out, and the page's own policy lets only its own script and style act.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sim_sync import __version__
from sim_sync.core.report import Report, sentences
from sim_sync.core.text import counted, printable
from sim_sync.report.sections import sections, tiles

_FOLDER = Path(__file__).parent
_TITLE = "SIM reconciliation"
_FOOTNOTE = (
    "Open: found by the newest comparison of the carrier, and not acknowledged. New: first seen in the period, and "
    "still open. Resolved: gone in the period. High: costs money or connectivity now; medium: should be put right; "
    "low: can wait."
)


def page(report: Report) -> str:
    """Return a report as an HTML document."""
    style, script = _file("report.css") + _file("plots.css"), _file("report.js")
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=_TITLE,
            subtitle=_subtitle(report),
            sentences=sentences(report),
            tiles=tiles(report),
            sections=sections(report),
            footnote=_FOOTNOTE,
            version=__version__,
            style=Markup(style),  # noqa: S704 - a file of ours
            script=Markup(script),  # noqa: S704 - a file of ours
            policy=_policy(style, script),
        )
    )


def _subtitle(report: Report) -> str:
    names = [part.carrier for part in report.carriers]
    of = names[0] if len(names) == 1 else counted(len(names), "carrier")
    figures = report.figures
    return f"{of}, as of {figures.as_of:%-d %B %Y, %H:%M} UTC; the period begins {figures.since:%-d %B %Y}"


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy: nothing is loaded, and only this very style and this very script act."""
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "style-src": _digest(style),
        "script-src": _digest(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        keep_trailing_newline=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _with_code
    return environment


def _with_code(text: str) -> Markup:
    """Return a text in which what stands between backticks is a command."""
    parts = [escape(printable(part)) for part in text.split("`")]
    if len(parts) % 2 == 0:  # a backtick of its own
        return escape(printable(text))
    marked = (Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts))
    return Markup("").join(marked)


def _shown(value: Any) -> Any:
    """Return what stands in the page for a value: a text with nothing in it that nobody would see."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
