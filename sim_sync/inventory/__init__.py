"""Our own list of SIMs, as the company keeps it: what a row means, and reading it from CSV. Knows no SQL.

A list that comes from a database is read by `warehouse.inventory_sql` and given its meaning here, by `parse_sheet`.
"""

from sim_sync.inventory.csv_source import CsvInventorySettings, open_csv, read_inventory
from sim_sync.inventory.parsing import parse_sheet
from sim_sync.inventory.rows import OUR_COLUMNS, Finding, Inventory, InventorySim, Sheet

__all__ = [
    "OUR_COLUMNS",
    "CsvInventorySettings",
    "Finding",
    "Inventory",
    "InventorySim",
    "Sheet",
    "open_csv",
    "parse_sheet",
    "read_inventory",
]
