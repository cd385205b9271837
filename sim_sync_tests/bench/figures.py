"""One measured figure and its goal, and the table of them."""

from collections.abc import Iterable
from dataclasses import dataclass

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
        reached = {True: "yes", False: "NO", None: ""}[figure.is_met]
        table.add_row(figure.what, f"{_number(figure.value)} {figure.unit}", figure.goal, reached)
    Console(width=140, highlight=False).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
