"""The SQL warehouse: tables, one transaction a step, reconciliation. The only package that knows SQLAlchemy."""

from sim_sync.warehouse.warehouse import (
    Warehouse,
    WarehouseView,
    open_warehouse,
    open_warehouse_to_read,
    view_warehouse,
)

__all__ = ["Warehouse", "WarehouseView", "open_warehouse", "open_warehouse_to_read", "view_warehouse"]
