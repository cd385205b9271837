"""The SQL warehouse: tables, one transaction a step, reconciliation. The only package that knows SQLAlchemy."""

from sim_sync.warehouse.warehouse import Warehouse, open_warehouse, open_warehouse_to_read

__all__ = ["Warehouse", "open_warehouse", "open_warehouse_to_read"]
