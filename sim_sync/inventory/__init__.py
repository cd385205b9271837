"""Our own list of SIMs, as the company keeps it: reading it from a file or a query, and what a row means.

`sql_source` is imported only where a list comes from a database: the rest knows no SQL.
"""

from sim_sync.inventory.csv_file import CsvInventorySettings
from sim_sync.inventory.csv_source import CsvList, open_csv
from sim_sync.inventory.reading import Entries, OurList, Reading, SeveralLists, Terms, survey

__all__ = [
    "CsvInventorySettings",
    "CsvList",
    "Entries",
    "OurList",
    "Reading",
    "SeveralLists",
    "Terms",
    "open_csv",
    "survey",
]
