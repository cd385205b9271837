"""What a reconciliation came to, as metadata of `sim_discrepancies`: entries to read, then tables, then the plot.

Everything is of the one carrier of the partition. The report on all of them is `sim-sync report`.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import dagster as dg

from sim_sync.core.report import SEVERITIES, CarrierPart, Report, ReportFigures, sentences
from sim_sync.core.text import printable
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.overviews import carrier_overviews
from sim_sync.warehouse.report import brief_figures

#: How far back the trend goes.
_PERIOD = timedelta(days=30)

Metadata: TypeAlias = Mapping[str, Any]


def essentials(warehouse: Warehouse, carrier: str) -> tuple[Metadata, Metadata]:
    """Return what stands first on the asset's page, and what stands last: tables and the plot."""
    figures = brief_figures(warehouse.engine, [carrier], warehouse.sessions.now() - _PERIOD)
    (overview,) = carrier_overviews(warehouse.engine, [carrier])
    part = CarrierPart(overview=overview, max_age_hours=0.0, compared_as_of=figures.as_of)
    report = Report(figures=figures, carriers=[part])
    return dict(_entries(report)), dict(_pictures(figures))


def _entries(report: Report) -> Iterator[tuple[str, Any]]:
    yield "in_short", printable(" ".join(sentences(report)))
    yield "open", report.open_of()
    for severity in SEVERITIES:
        yield severity, report.open_of(severity=severity)
    yield "acknowledged", report.muted
    if (cost := report.cost_of()) is not None:
        yield "monthly_cost", float(cost)
        yield "currency", report.currency or "not named"


def _pictures(figures: ReportFigures) -> Iterator[tuple[str, Any]]:
    piles = [(pile.kind, pile.severity, pile.found) for pile in figures.piles if not pile.is_muted]
    yield "by_kind", _table(("kind", "severity"), piles)
    pairs = [(pair.kind, pair.field, pair.ours, pair.theirs, pair.found) for pair in figures.pairs]
    yield "most_frequent", _table(("kind", "field", "ours", "theirs"), pairs)
    from sim_sync.report.plots import standalone  # pygal is loaded where it draws
    from sim_sync.report.sections import trend

    if plots := trend(figures):
        told = (f"{plot.title}\n\n![]({_source(standalone(plot))})" for plot in plots)
        yield "trend", dg.MetadataValue.md("\n\n".join(told))


def _source(drawing: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def _table(words: Sequence[str], rows: Sequence[Sequence[Any]]) -> dg.TableMetadataValue:
    """Return counts behind their words as a table of plain texts: in markdown, a cell could be an image."""
    names = [*words, "open"]
    columns = [dg.TableColumn(name, "int" if name == "open" else "string") for name in names]
    records = [dg.TableRecord(dict(zip(names, map(_plain, row), strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _plain(value: str | int | None) -> str | int:
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else value
