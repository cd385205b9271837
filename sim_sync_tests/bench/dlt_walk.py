"""Loads a carrier's list with dlt, in dlt's own environment: `python dlt_walk.py CARRIER_URL DATABASE_URL FOLDER`.

The same work as a walk: all pages of the list, merged into one table by the SIM's id. Prints its seconds as JSON.
"""

# mypy: ignore-errors
# ruff: noqa: E402 - dlt reads its settings when it is imported

import json
import os
import resource
import sys
import time

carrier_url, database_url, folder, page_size, username, password = sys.argv[1:7]
os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "DLT_DATA_DIR": folder}

import dlt
from dlt.sources.rest_api import rest_api_source

_SIMS = {
    "name": "sims",
    "primary_key": "sid",
    "write_disposition": "merge",
    "endpoint": {"path": "/v1/Sims", "params": {"PageSize": page_size}, "data_selector": "sims"},
}
_CLIENT = {
    "base_url": carrier_url,
    "auth": {"type": "http_basic", "username": username, "password": password},
    "paginator": {"type": "json_link", "next_url_path": "meta.next_page_url"},
}
# Its nested objects as JSON, as we keep them; the faster of its two ways.
source = rest_api_source({"client": _CLIENT, "resources": [_SIMS]}, max_table_nesting=0)
# It wants a host in its place; the folder of a socket, which is a parameter, counts before it.
database_url = database_url.replace("@/", "@localhost/")
is_postgres = database_url.startswith("postgresql")
destination = (dlt.destinations.postgres if is_postgres else dlt.destinations.sqlalchemy)(database_url)
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="dlt", pipelines_dir=folder)
cpu, started = time.process_time(), time.perf_counter()
pipeline.run(source)
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
pipeline.drop_pending_packages()
rows = pipeline.last_trace.last_normalize_info.row_counts["sims"]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "records": rows, "megabytes": peak}))
