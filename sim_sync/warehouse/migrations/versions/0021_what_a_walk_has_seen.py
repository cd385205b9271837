"""What a walk has seen is noted beside the SIMs, and a digest says which of them are as they were."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the columns and the tables. No row is written: each SIM gets its number and digest as a walk next meets it.

    An open walk continues: what it has seen so far names it in `last_seen_session`, and what it sees from now on is
    written or noted.
    """
    for name in ("stored_digest", "sim_number"):
        op.add_column("carrier_sims", sa.Column(name, sa.BigInteger()))
    op.create_table(
        "seen_sims",
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("session_number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("place", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("sim_numbers", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("carrier", "session_number", "place", name="pk_seen_sims"),
    )
    op.create_table(
        "sim_numbers",
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("carrier", name="pk_sim_numbers"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE carrier_sims SET (fillfactor = 90)")
