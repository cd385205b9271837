"""Room beside the rows of `sim_discrepancies`: every comparison of something new writes each open one."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Leave it on the pages that PostgreSQL fills from now on; rows that are there move as they are written."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE sim_discrepancies SET (fillfactor = 50)")
