"""What a session changed, as metadata of its materialization: counts by field, and where they concentrate."""

import dagster as dg

from sim_sync.core.session import Session
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.drift import changes_by_field, explain_drift


def changes_metadata(session: Session, warehouse: Warehouse) -> dict[str, dg.MetadataValue]:
    """Return what a completed session changed; of one that changed nothing, nothing is asked."""
    if not session.records_changed:
        return {}
    counts = changes_by_field(warehouse.engine, session.carrier, session.session_id)
    told = {"changes": ", ".join(f"{field} {count:,}" for field, count in counts.items())}
    if drift := explain_drift(warehouse.engine, session.carrier, session_id=session.session_id):
        told["drift"] = "; ".join(drift)
    return {name: dg.MetadataValue.text(text) for name, text in told.items()}
