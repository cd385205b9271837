"""Schemas of their own in PostgreSQL, for trials that must not touch anybody's tables."""

import sqlalchemy as sa

from sim_sync.warehouse.engine import open_engine, transaction


def create_schema(url: str, name: str) -> None:
    """Create a schema in the database."""
    _run(url, sa.schema.CreateSchema(name))


def drop_schema(url: str, name: str) -> None:
    """Drop a schema and all that is in it."""
    _run(url, sa.schema.DropSchema(name, cascade=True))


def _run(url: str, statement: sa.ExecutableDDLElement) -> None:
    engine = open_engine(url)
    try:
        with transaction(engine, "preparing a scratch schema") as connection:
            connection.execute(statement)
    finally:
        engine.dispose()
