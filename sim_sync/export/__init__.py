"""The tables of a carrier, written where others read them: Parquet files and Delta tables, each replaced as a whole.

pyarrow, fsspec and deltalake are loaded by who exports: the extra `export` brings them.
"""

from sim_sync.export.exporting import Exported, export_carrier, look_at_places

__all__ = ["Exported", "export_carrier", "look_at_places"]
