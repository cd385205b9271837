"""The in-memory warehouse as a store under test."""

from dataclasses import dataclass, field
from typing import Any

from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.crash_points import ArmedPoints
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse


@dataclass
class InMemoryUnderTest:
    """A `StoreUnderTest` on dicts."""

    clock: SettableClock = field(default_factory=SettableClock)
    crash_points: ArmedPoints = field(default_factory=ArmedPoints)

    def __post_init__(self) -> None:
        self.store = InMemoryWarehouse(self.clock, at=self.crash_points)

    def load_our_list(self, carrier: str, sims: int) -> None:
        self.store.sims_on_our_list[carrier] = sims

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.store.rows(table)
