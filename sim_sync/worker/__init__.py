"""One run's share of a session: who it is, how it is stopped, how it keeps its lease, and what became of its work.

The step loop itself is `core.sync`; Dagster is in `defs`.
"""
