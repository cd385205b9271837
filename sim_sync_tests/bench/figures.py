"""One measured figure and its goal, the table of them, and the document for machines."""

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in what unit, and the goal: at least or at most. A goal of None is only told."""

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def goal(self) -> str:
        """The goal as people write it."""
        if self.at_least is not None:
            return f">= {_number(self.at_least)} {self.unit}"
        return "" if self.at_most is None else f"<= {_number(self.at_most)} {self.unit}"


def print_figures(figures: Iterable[Figure]) -> None:
    """Print each figure beside its goal."""
    table = Table("what", "measured", "goal", "reached")
    for figure in figures:
        reached = {True: "yes", False: "NOT REACHED", None: ""}[figure.is_met]
        table.add_row(figure.what, f"{_number(figure.value)} {figure.unit}", figure.goal, reached)
    Console(width=140, highlight=False).print(table)


def write_figures(path: Path, figures: Iterable[Figure], settings: Mapping[str, object]) -> None:
    """Write the figures as one JSON document, with the machine and with what was asked for."""
    listed = [asdict(figure) | {"is_met": figure.is_met} for figure in figures]
    document = {"machine": machine(), "settings": settings, "figures": listed}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def machine() -> Mapping[str, object]:
    """Return what the figures were measured on, and how busy it is now: more than its cores, and they are no use."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
