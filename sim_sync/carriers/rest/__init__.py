"""A carrier without a connector of its own, declared wholly in `carriers.yaml` with the same building blocks."""

from sim_sync.carriers.rest.connector import CONNECTOR

__all__ = ["CONNECTOR"]
