"""An index of the EIDs of our list: whether it names any, and which rows name one, costs nothing to find out."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create it over the rows that name one."""
    named = sa.text("eid IS NOT NULL")
    op.create_index(
        "ix_inventory_sims_carrier_eid",
        "inventory_sims",
        ["carrier", "eid"],
        sqlite_where=named,
        postgresql_where=named,
    )
