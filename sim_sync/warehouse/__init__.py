"""The SQL warehouse: tables, one transaction a step, reconciliation. The only package that knows SQLAlchemy."""

from sim_sync.warehouse.warehouse import Warehouse, open_warehouse

__all__ = ["Warehouse", "open_warehouse"]
