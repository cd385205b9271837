"""`sim-sync report` as one file: what is collected for it, and the page around its sections."""

import base64
import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sim_sync import __version__
from sim_sync.core.report import CarrierPart, Report, day_text, sentences
from sim_sync.core.session import Session
from sim_sync.core.text import counted, printable
from sim_sync.report.sections import sections, tiles
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.changes import explain_drift
from sim_sync.warehouse.knowledge import Compared, compared_of
from sim_sync.warehouse.overviews import carrier_overviews, past_walks
from sim_sync.warehouse.report import report_figures

# Brings together what a report tells: the figures, what is known of each carrier, and the past walks.


#: Tables of single SIMs and of walks have at most so many rows; what is left out is told as a number.
ROWS_SHOWN = 500
WALKS_SHOWN = 100


def collect(
    warehouse: Warehouse,
    max_age_hours: Mapping[str, float],
    since: datetime,
    *,
    with_list: Container[str],
    rows: int = ROWS_SHOWN,
) -> Report:
    """Read what a report tells of some carriers.

    Args:
        warehouse: where everything is.
        max_age_hours: for how long a walk keeps each of the carriers fresh, by its name.
        since: where the period begins.
        with_list: the carriers that a list of ours may have SIMs of.
        rows: how many discrepancies are listed at most.
    """
    carriers, engine = list(max_age_hours), warehouse.engine
    figures = report_figures(engine, carriers, since, rows=rows)
    compared = compared_of(engine, carriers)
    walks = past_walks(engine, carriers, WALKS_SHOWN)
    return Report(
        figures=figures,
        carriers=[
            CarrierPart(
                overview=overview,
                max_age_hours=max_age_hours[overview.carrier],
                has_list=overview.carrier in with_list,
                compared_as_of=compared[overview.carrier].as_of,
                waiting=list(_waiting(compared[overview.carrier])),
                drift=_drift(warehouse, overview.last_completed, since),
            )
            for overview in carrier_overviews(engine, carriers)
        ],
        walks=[walk for walk in walks if _is_of_period(walk.session, since)],
    )


def _waiting(compared: Compared) -> Iterator[str]:
    if compared.walk_is_newer:
        yield "its last complete walk"
    if compared.list_is_newer:
        yield "what our list says since"


def _drift(warehouse: Warehouse, walk: Session | None, since: datetime) -> Sequence[str]:
    """Return where the changes of the last complete walk concentrate, if it is of the period and changed anything."""
    if walk is None or not walk.records_changed or not _is_of_period(walk, since):
        return ()
    return explain_drift(warehouse.engine, walk.carrier, session_id=walk.session_id)


def _is_of_period(walk: Session, since: datetime) -> bool:
    return (walk.finished_at or walk.updated_at) >= since


# The page of a report: one HTML file with its style and its script in it, which may load nothing from anywhere.
#
# Whatever a carrier, a list or a database says is text here: the template escapes it, what nobody would see is
# written out, and the page's own policy lets only its own script and style act.


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
    as_of = f"{day_text(figures.as_of)}, {figures.as_of:%H:%M} UTC"
    return f"{of}, as of {as_of}; the period begins {day_text(figures.since)}"


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
