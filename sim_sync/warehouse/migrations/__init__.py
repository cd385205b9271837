"""The schema's history, run by Alembic: one file a change in `versions`."""
