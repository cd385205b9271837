"""The account of a whole session, across its runs, in the metadata of its materialization; and what a table looks like.

The observations of its runs are what the plot is drawn from: nothing else has to be kept for it.
"""

import base64
import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

import dagster as dg

from sim_sync.core.session import Session
from sim_sync.core.text import counted, duration_text
from sim_sync.defs.jobs import SESSION_TAG
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.knowledge import present_sims, present_sims_of_all
from sim_sync.warehouse.tables import table_columns

#: When a walk was observed, as a Unix time, and how many pages it had done.
PlotPoint: TypeAlias = tuple[float, int]

_MOST_POINTS = 1000
_BUCKETS = 60
_BUCKET_WIDTH, _PLOT_HEIGHT = 5, 100
_WHITE, _BLUE = 0, 1
_PALETTE = bytes((255, 255, 255, 70, 110, 220))


def table_metadata(table: str) -> dict[str, Any]:
    """Return the metadata of an asset that is a table of the warehouse, under the keys that Dagster knows."""
    columns = [
        dg.TableColumn(name, kind, constraints=dg.TableColumnConstraints(nullable=is_nullable))
        for name, kind, is_nullable in table_columns(table)
    ]
    return {"dagster/table_name": table, "dagster/column_schema": dg.TableSchema(columns)}


def session_account(
    context: dg.OpExecutionContext, session: Session, warehouse: Warehouse
) -> dict[str, dg.MetadataValue]:
    """Return what the whole session took, across its runs: runs, resumes, waits, pages fetched twice, and its pace."""
    finished_at = session.finished_at or session.updated_at
    resumes = session.fence - 1
    again = warehouse.sessions.internals(session.session_id).earlier_pages
    took = duration_text((finished_at - session.started_at).total_seconds())
    found: dict[str, dg.MetadataValue] = {
        "took": dg.MetadataValue.text(f"{took}, throttled {duration_text(session.throttled_seconds)} of it"),
        "resumes": dg.MetadataValue.int(resumes),
        "pages_fetched_twice": dg.MetadataValue.text(_fetched_twice(again, resumes)),
        "runs": dg.MetadataValue.md(_runs_table(context.instance, session.session_id)),
        "dagster/partition_row_count": dg.MetadataValue.int(present_sims(warehouse.engine, session.carrier)),
        "dagster/row_count": dg.MetadataValue.int(present_sims_of_all(warehouse.engine)),
    }
    points = [*_points(context, session), (finished_at.timestamp(), session.pages_done)]
    if plot := plot_markdown(points, session.started_at):
        found["pages_a_minute"] = dg.MetadataValue.md(plot)
    return found


def _fetched_twice(again: int, resumes: int) -> str:
    """Return how many pages were fetched twice: each owner but the last may have had one in hand, and sent ahead."""
    walked = f"{counted(again, 'page')} walked again after the carrier refused its own cursor" if again else ""
    in_hand = f"at most those in flight at {counted(resumes, 'resume')}" if resumes else ""
    return "; ".join(filter(None, (walked, in_hand))) or "none"


def _runs_table(instance: dg.DagsterInstance, session_id: str) -> str:
    records = instance.get_run_records(dg.RunsFilter(tags={SESSION_TAG: session_id}), ascending=True, limit=100)
    rows = [
        f"| [{record.dagster_run.run_id[:8]}](/runs/{record.dagster_run.run_id}) | {_started_by(record.dagster_run)} | "
        f"{record.create_timestamp:%Y-%m-%d %H:%M:%S} UTC | {record.dagster_run.status.value} |"
        for record in records
    ]
    return "\n".join(["| run | started by | created | status |", "|---|---|---|---|", *rows])


def _started_by(run: dg.DagsterRun) -> str:
    if "dagster/sensor_name" in run.tags:
        return "the sensor"
    return "the schedule" if "dagster/schedule_name" in run.tags else "a person or a script"


def _points(context: dg.OpExecutionContext, session: Session) -> Sequence[PlotPoint]:
    """Return what was observed of the session's pages, the oldest first."""
    wanted = dg.AssetRecordsFilter(
        asset_key=context.assets_def.key,
        asset_partitions=[session.carrier],
        after_timestamp=session.started_at.timestamp() - 1,
    )
    points = []
    for record in context.instance.fetch_observations(wanted, limit=_MOST_POINTS).records:
        observed = record.asset_observation
        told = {} if observed is None else observed.metadata
        if "session" in told and told["session"].value == session.session_id and "pages_done" in told:
            points.append((record.timestamp, int(str(told["pages_done"].value))))
    return sorted(points)


def plot_markdown(points: Sequence[PlotPoint], started_at: datetime) -> str:
    """Return an image of the pages a minute over a walk, and its scale; nothing where too little is known."""
    speeds = speeds_over_time([(started_at.timestamp(), 0), *points])
    if not speeds or max(speeds) <= 0:
        return ""
    image = base64.b64encode(bars_png(speeds)).decode("ascii")
    scale = f"pages a minute, from 0 to {max(speeds):.0f}, left to right"
    return f"![pages a minute](data:image/png;base64,{image})\n\n{scale}"


def speeds_over_time(points: Sequence[PlotPoint], buckets: int = _BUCKETS) -> Sequence[float]:
    """Return the pages a minute in equal parts of a walk's time; pages before the walk started again count as none."""
    steps = [(a, b) for a, b in pairwise(points) if b[0] > a[0]]
    if not steps:
        return []
    begin, end = steps[0][0][0], steps[-1][1][0]
    width = (end - begin) / buckets
    speeds = [0.0] * buckets
    for (since, before), (until, after) in steps:
        rate = max(after - before, 0) / (until - since) * 60
        for bucket in range(buckets):
            left, right = begin + bucket * width, begin + (bucket + 1) * width
            speeds[bucket] += rate * max(min(right, until) - max(left, since), 0.0) / width
    return speeds


def bars_png(heights: Sequence[float]) -> bytes:
    """Return a PNG (ISO/IEC 15948) of bars side by side, the highest as high as the image."""
    highest = max(heights)
    pixels = [round(_PLOT_HEIGHT * height / highest) for height in heights]
    rows = b""
    for row in range(_PLOT_HEIGHT):
        line = b"".join(
            bytes([_BLUE if bar >= _PLOT_HEIGHT - row else _WHITE] * (_BUCKET_WIDTH - 1)) + bytes([_WHITE])
            for bar in pixels
        )
        rows += b"\x00" + line  # each row begins with its filter: none
    header = struct.pack(">IIBBBBB", _BUCKET_WIDTH * len(heights), _PLOT_HEIGHT, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _PALETTE), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
