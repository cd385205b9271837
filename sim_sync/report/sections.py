"""The sections of the report, and the tables in them."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from markupsafe import Markup

from sim_sync.core.discrepancies import from_units, in_units
from sim_sync.core.held_sweep import decision_text
from sim_sync.core.notes import error_text, sweep_text
from sim_sync.core.progress import PastWalk
from sim_sync.core.report import (
    SEVERITIES,
    CarrierPart,
    Flow,
    Hotspot,
    Report,
    ReportFigures,
    Standing,
    day_text,
    money_text,
)
from sim_sync.core.session import Session, State
from sim_sync.core.text import counted, duration_text
from sim_sync.report.plots import Plot, Series, drawn

# The tables of a report as rows of texts, each with what it is sorted by. How a table looks is in the template.


class Cell(NamedTuple):
    """A cell: its text, what it sorts by where that is not the text, and a share from 0 to 1 that is drawn as a bar."""

    text: str
    order: str | float | None = None
    share: float | None = None
    tone: str = ""


class Column(NamedTuple):
    """A column: its heading, and whether it holds numbers, which stand below each other at their last digit."""

    name: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePart:
    """A table: an `anchor` for links, a title, its columns and rows, and what has to be said below it.

    `is_filtered` offers a field to filter by. `empty` is said in the place of a table without rows.
    """

    anchor: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    empty: str = "None."
    is_filtered: bool = False


def number(value: float) -> Cell:
    """Return a count as people read it."""
    return Cell(f"{value:,}", value, tone="" if value else "zero")


def text(value: Any, tone: str = "") -> Cell:
    """Return a text; None is an empty cell."""
    return Cell("" if value is None else str(value), tone=tone)


def moment(at: datetime | None) -> Cell:
    """Return a time in UTC, to the minute."""
    return Cell("never", 0.0, tone="warn") if at is None else Cell(f"{at:%Y-%m-%d %H:%M}", at.timestamp())


def share(value: int, of: int) -> Cell:
    """Return a count beside its bar: its share of the whole."""
    part = value / of if of else 0.0
    return Cell(f"{value:,}", value, part)


# The sections of a report: which tables and plots there are, from the figures.


#: In the order of badness, for sorting.
_RANKS = {name: len(SEVERITIES) - place for place, name in enumerate(SEVERITIES)}
#: A plot of days has at most so many: the last ones of a longer period.
_MOST_DAYS = 62


class PlotPart(NamedTuple):
    """A plot, its drawing, and what its labels are."""

    plot: Plot
    drawing: Markup
    first: str


class Told(NamedTuple):
    """A line about a carrier."""

    carrier: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page with its heading."""

    anchor: str
    title: str
    note: str = ""
    plots: Sequence[PlotPart] = ()
    told: Sequence[Told] = ()
    tables: Sequence[TablePart] = ()
    is_pair: bool = False


def sections(report: Report) -> Sequence[Section]:
    """Return the sections of a report in their order."""
    return [
        _carriers(report),
        *_to_do(report),
        _trend(report),
        _concentration(report),
        _held(report),
        _unusable(report),
        _discrepancies(report),
        _walks(report),
    ]


def _carriers(report: Report) -> Section:
    columns = [
        Column("Carrier"),
        *(Column(name, is_number=True) for name in ("SIMs", "In our list", "Open", "High", "Medium", "Low")),
        *(Column(name, is_number=True) for name in ("New", "Resolved", "Acknowledged")),
        *_cost_column(report),
        Column("Last complete walk"),
    ]
    table = TablePart(
        anchor="totals",
        title="Totals by carrier",
        columns=columns,
        rows=[_carrier_row(report, part) for part in report.carriers],
        is_filtered=len(report.carriers) > 10,
    )
    return Section(
        anchor="carriers",
        title="Carriers",
        note=f"New and resolved since {day_text(report.figures.since)}; times are UTC.",
        tables=[table],
    )


def _carrier_row(report: Report, part: CarrierPart) -> Sequence[Cell]:
    name, figures = part.carrier, report.figures
    return [
        text(name),
        number(figures.sims.get(name, 0)),
        number(figures.listed.get(name, 0)),
        *(_compared_cells(report, name) if report.is_compared(part) else [_UNKNOWN] * _COMPARED_CELLS),
        *_cost(report, _units(report.cost_of(carrier=name))),
        moment(part.overview.complete_as_of),
    ]


#: Of a carrier that was never compared nobody knows: no zero stands there.
_UNKNOWN = Cell("\N{EN DASH}", -1, tone="zero")
_COMPARED_CELLS = 7


def _compared_cells(report: Report, carrier: str) -> Sequence[Cell]:
    total, flow = report.open_of(carrier=carrier), report.figures.flows.get(carrier, Flow())
    return [
        share(total, report.open_of()),
        *(number(report.open_of(carrier=carrier, severity=severity)) for severity in SEVERITIES),
        number(flow.opened),
        number(flow.resolved),
        number(report.muted_of(carrier)),
    ]


def _units(amount: Decimal | None) -> int | None:
    return None if amount is None else in_units(amount)


def _to_do(report: Report) -> Iterator[Section]:
    """Yield what to do, where anything is."""
    if not report.figures.todos:
        return
    columns = [Column("What to do"), Column("Severity"), Column("Open", is_number=True)]
    rows = [
        [
            text(todo.advice, "wide"),
            _severity(todo.severity),
            share(todo.found, report.open_of()),
            *_cost(report, todo.cost),
        ]
        for todo in report.figures.todos
    ]
    table = TablePart(anchor="advice", title="What to do", columns=[*columns, *_cost_column(report)], rows=rows)
    yield Section(anchor="to-do", title="What to do first", tables=[table])


def _severity(severity: str) -> Cell:
    return Cell(severity, _RANKS.get(severity, 0), tone=severity)


def _cost_column(report: Report) -> Sequence[Column]:
    return [] if report.cost_of() is None else [Column(f"{report.currency} a month".strip(), is_number=True)]


def _cost(report: Report, units: int | None) -> Sequence[Cell]:
    """Return the cell of an amount in ten-thousandths; nothing where nothing is priced."""
    if report.cost_of() is None:
        return []
    if units is None:
        return [Cell("")]
    return [Cell(money_text(from_units(units), ""), units, tone="" if units else "zero")]


def _trend(report: Report) -> Section:
    plots = trend(report.figures)
    return Section(
        anchor="trend",
        title="Trend",
        note="" if plots else "Nothing appeared and nothing was resolved in this period.",
        plots=[_drawn(plot, "Day") for plot in plots],
    )


def trend(figures: ReportFigures) -> Sequence[Plot]:
    """Return the plots of a period: what was open after each night, and what appeared and was resolved."""
    return [*_open_plot(figures), *_flow_plot(figures)]


def _open_plot(figures: ReportFigures) -> Iterator[Plot]:
    """Yield what was open after each night, where there is more than one: reconciliations keep it."""
    if len({one.day for one in figures.standings}) < 2:
        return
    days = _days(figures.since, figures.as_of)
    stands = list(_stands(figures.standings, days))
    yield Plot(
        "Open discrepancies after each night",
        [_short_day(day) for day in days],
        [Series(name, name, [sum(getattr(one, name) for one in stand) for stand in stands]) for name in SEVERITIES],
        "stacked",
    )


def _stands(standings: Sequence[Standing], days: Sequence[date]) -> Iterator[Sequence[Standing]]:
    """Yield how every carrier stood on each day: as on the last day before on which it was compared."""
    left, known = deque(standings), dict[str, Standing]()
    for day in days:
        while left and left[0].day <= day:
            one = left.popleft()
            known[one.carrier] = one
        yield list(known.values())


def _flow_plot(figures: ReportFigures) -> Iterator[Plot]:
    if not figures.nights:
        return
    nights = {night.day: night for night in figures.nights}
    days = _days(figures.since, figures.as_of)
    yield Plot(
        "Discrepancies that appeared and were resolved, a day",
        [_short_day(day) for day in days],
        [
            Series("appeared", "high", [nights[day].opened if day in nights else 0 for day in days]),
            Series("resolved", "accent", [nights[day].resolved if day in nights else 0 for day in days]),
        ],
    )


def _short_day(day: date) -> str:
    return f"{day:%-d %b}"


def _days(since: datetime, until: datetime) -> Sequence[date]:
    """Return the days of a period, the last ones where it is long."""
    first = max(since.date(), until.date() - timedelta(days=_MOST_DAYS - 1))
    return [first + timedelta(days=place) for place in range((until.date() - first).days + 1)]


def _concentration(report: Report) -> Section:
    total = report.open_of()
    told = [Told(carrier, sentence) for carrier, lines in report.concentrations.items() for sentence in lines]
    pairs = TablePart(
        anchor="pairs",
        title="What differs most often",
        columns=[Column("What"), Column("Ours"), Column("Theirs"), Column("Open", is_number=True)],
        rows=[
            [text(_what(pair.kind, pair.field)), text(pair.ours), text(pair.theirs), share(pair.found, total)]
            for pair in report.figures.pairs
        ],
        empty="Nothing differs.",
    )
    return Section(
        anchor="concentration",
        title="Where it concentrates",
        told=told,
        is_pair=True,
        tables=[pairs, _hotspots(_telling(report.figures), total)],
    )


def _telling(figures: ReportFigures) -> Sequence[Hotspot]:
    """Return the groups of SIMs that are not all that a carrier has."""
    return [one for one in figures.hotspots if one.sims != figures.sims.get(one.carrier)]


def _hotspots(hotspots: Sequence[Hotspot], total: int) -> TablePart:
    return TablePart(
        anchor="groups",
        title="Which SIMs have most of it",
        columns=[Column("Carrier"), Column("Group"), Column("Open", is_number=True), Column("SIMs", is_number=True)],
        rows=[
            [text(one.carrier), text(f"{one.group} {one.value}"), share(one.found, total), number(one.sims)]
            for one in hotspots
        ],
        empty="No group of SIMs has any.",
    )


def _held(report: Report) -> Section:
    told = [Told(part.carrier, concern) for part in report.carriers for concern in report.concerns_of(part)]
    decided = [
        Told(walk.session.carrier, sweep_text(walk.session)) for walk in report.walks if decision_text(walk.session)
    ]
    return Section(
        anchor="held",
        title="What was held, and why",
        note="" if told or decided else "Nothing is held, failed or too old.",
        told=[*told, *decided],
    )


def _unusable(report: Report) -> Section:
    ours, theirs = report.figures.unusable, report.figures.unread
    return Section(
        anchor="unusable",
        title="What could not be used",
        is_pair=True,
        tables=[
            TablePart(
                anchor="our-list",
                title="Of our own list",
                note=counted(ours.total, "finding") if ours.total else "",
                columns=[Column("Source"), Column("Reason"), Column("Findings", is_number=True)],
                rows=[[text(one.of), text(one.reason), number(one.found)] for one in ours.lines],
                empty="Every row of our list could be used.",
            ),
            TablePart(
                anchor="quarantine",
                title="Of the carriers' records",
                note=f"{counted(theirs.total, 'record')}; `sim-sync quarantine list` shows them"
                if theirs.total
                else "",
                columns=[Column("Carrier"), Column("Reason"), Column("Records", is_number=True)],
                rows=[[text(one.of), text(one.reason), number(one.found)] for one in theirs.lines],
                empty="Every record could be read.",
            ),
        ],
    )


def _discrepancies(report: Report) -> Section:
    total, rows = report.open_of(), report.figures.worst
    noun = counted(total, "discrepancy is open", "discrepancies are open")
    every = "`sim-sync discrepancies --format csv --output FILE` writes all of them"
    note = f"The worst {len(rows):,} of {total:,}; {every}." if len(rows) < total else f"{noun}; {every}."
    table = TablePart(
        anchor="worst",
        title="Open discrepancies, the worst first",
        note=note if total else "",
        columns=[*(Column(name, is_number=name == "Nights") for name in _DISCREPANCY_COLUMNS), *_cost_column(report)],
        rows=[[*_discrepancy_row(row), *_cost(report, _units(row.monthly_cost))] for row in rows],
        empty="None is open.",
        is_filtered=True,
    )
    return Section(anchor="discrepancies", title="Open discrepancies, the worst first", tables=[table])


_DISCREPANCY_COLUMNS = ("ICCID", "Carrier", "What", "Ours", "Theirs", "Severity", "Label", "Plan", "Since", "Nights")


def _discrepancy_row(row: Any) -> Sequence[Cell]:
    return [
        text(row.iccid, "id"),
        text(row.carrier),
        text(_what(row.kind, row.field)),
        text(row.ours),
        text(row.theirs),
        _severity(row.severity),
        text(row.label),
        text(row.rate_plan),
        Cell(f"{row.first_seen_at:%Y-%m-%d}", row.first_seen_at.timestamp(), tone="nowrap"),
        number(row.times_seen),
    ]


def _what(kind: str, field: str) -> str:
    words = kind.replace("_", " ")
    return f"{words}: {field.replace('_', ' ')}" if field else words


def _walks(report: Report) -> Section:
    now = report.figures.as_of
    columns = [
        *(Column(name) for name in ("Carrier", "Started")),
        *(Column(name, is_number=True) for name in _WALK_NUMBERS),
        *(Column(name) for name in ("Outcome", "Sweep", "Last error")),
    ]
    table = TablePart(
        anchor="past-walks",
        title="Past walks, the newest first",
        note=f"The newest {len(report.walks)}; `sim-sync sessions` lists them too." if report.walks else "",
        columns=columns,
        rows=[_walk_row(walk, now) for walk in report.walks],
        empty="No walk in this period.",
        is_filtered=len(report.walks) > 10,
    )
    changes = TablePart(
        anchor="changes",
        title="What the carriers changed",
        note=f"Since {day_text(report.figures.since)}; `sim-sync changes` lists each.",
        columns=[Column("Carrier"), Column("Field"), Column("Changes", is_number=True)],
        rows=[[text(one.carrier), text(one.field), number(one.found)] for one in report.figures.changes],
        empty="Nothing has changed.",
    )
    return Section(
        anchor="walks", title="Past walks", plots=list(_walk_plots(report.walks, now)), tables=[table, changes]
    )


_WALK_NUMBERS = ("Took", "Usual", "Pages", "SIMs", "Added", "Changed", "Retries", "Waited", "Resumes")


def _walk_row(walk: PastWalk, now: datetime) -> Sequence[Cell]:
    session = walk.session
    return [
        text(session.carrier),
        Cell(f"{session.started_at:%Y-%m-%d %H:%M}", session.started_at.timestamp(), tone="nowrap"),
        _duration(walk.duration_seconds(now)),
        _duration(walk.usual_seconds),
        number(session.pages_done),
        number(session.records_seen if walk.sims_seen is None else walk.sims_seen),
        number(session.records_added),
        number(session.records_changed),
        number(session.retries),
        _duration(session.throttled_seconds),
        number(walk.resumes),
        text(session.state.value, "high" if session.state is State.FAILED else ""),
        text(_sweep(session)),
        text(error_text(session)),
    ]


def _sweep(session: Session) -> str:
    """Return what became of a walk's sweep, and why; what to do about it stands with what was held."""
    if session.state is not State.COMPLETED:
        return ""
    return f"{session.sweep_state.value}: {session.sweep_reason}" if session.sweep_reason else session.sweep_state.value


def _duration(seconds: float | None) -> Cell:
    return Cell("") if seconds is None else Cell(duration_text(seconds), seconds, tone="" if seconds else "zero")


def _walk_plots(walks: Sequence[PastWalk], now: datetime) -> Iterator[PlotPart]:
    by_day: dict[date, tuple[float, float]] = {}
    for walk in walks:
        took, day = walk.duration_seconds(now) or 0.0, walk.session.started_at.date()
        waited = min(walk.session.throttled_seconds, took)
        before = by_day.get(day, (0.0, 0.0))
        by_day[day] = (before[0] + (took - waited) / 60, before[1] + waited / 60)
    if len(by_day) < 2:
        return
    days = sorted(by_day)
    series = [
        Series("at work", "accent", [round(by_day[day][0], 1) for day in days]),
        Series("waiting for the carrier", "quiet", [round(by_day[day][1], 1) for day in days]),
    ]
    title = "Minutes of walking, by the day on which the walk began"
    yield _drawn(Plot(title, [_short_day(day) for day in days], series, "stacked", "min"), "Day")


def _drawn(plot: Plot, first: str) -> PlotPart:
    return PlotPart(plot, drawn(plot), first)


def tiles(report: Report) -> Sequence[Mapping[str, str]]:
    """Return the figures that stand in large type: name, value, tone. What was never compared is not told as zero."""
    figures = report.figures
    high, cost = report.open_of(severity="high"), report.cost_of()
    compared = [("Open", report.open_of(), ""), ("High", high, "high" if high else "")]
    flows = [("New", report.opened, ""), ("Resolved", report.resolved, "")]
    sims = [
        ("SIMs at carriers", sum(figures.sims.values()), ""),
        ("SIMs in our list", sum(figures.listed.values()), ""),
    ]
    is_known = any(map(report.is_compared, report.carriers))
    told = [_tile(name, f"{value:,}" if is_known else _UNKNOWN.text, tone) for name, value, tone in compared + flows]
    if cost is not None:
        told.insert(len(compared), _tile(f"{report.currency} a month".strip(), money_text(cost, ""), ""))
    return [*told, *(_tile(name, f"{value:,}", tone) for name, value, tone in sims)]


def _tile(name: str, value: str, tone: str) -> Mapping[str, str]:
    return {"name": name, "value": value, "tone": tone}
