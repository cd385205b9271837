"""Our own list of SIMs, as the company keeps it: what a row means, and reading it from CSV. Knows no SQL.

A list that comes from a database is read by `warehouse.inventory_sql` and given its meaning here, by `Reading`.
"""

from sim_sync.inventory.csv_file import CsvInventorySettings
from sim_sync.inventory.csv_source import CsvList, open_csv
from sim_sync.inventory.reading import Reading, Terms
from sim_sync.inventory.survey import survey

__all__ = ["CsvInventorySettings", "CsvList", "Reading", "Terms", "open_csv", "survey"]
