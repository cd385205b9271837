#!/usr/bin/env bash
# A carrier that gives smaller pages than asked for: dlt and Airbyte's CDK load part of the fleet and say that it is all.
#
# Lists by offset cap the page size (asked for 100, at most 50 come), and say so nowhere but in the number of rows.
# dlt's `OffsetPaginator` goes on by the number asked for, whatever came: every second half page is never asked for, and
# with `total_path` it ends at the total, without comparing it with the rows that it has.
# Airbyte's `OffsetIncrement` goes on by the rows that came, and takes a page smaller than asked for as the last one:
# it loads the first page, and the stream is COMPLETE. Nothing is logged, so that a nightly full refresh looks like a
# fleet that shrank. The page size to configure in both is the cap, where one knows it.
#
# Seen on 2026-11-28 with dlt 1.31.0, airbyte-cdk 7.39.1, Python 3.11, for a list of 120 SIMs:
#     dlt, total_path:             70 SIMs, offsets 0 and 100
#     dlt, stop_after_empty_page:  70 SIMs, offsets 0, 100 and 200
#     Airbyte, OffsetIncrement:    50 SIMs, one request, COMPLETE
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
for peer in dlt==1.31.0 airbyte-cdk==7.39.1; do
  python3 -m venv "$folder/${peer%%=*}"
  "$folder/${peer%%=*}/bin/python" -m pip install --quiet --disable-pip-version-check "$peer"
done
cd "$folder"
cat >carrier.py <<'PYTHON'
"""A list of 120 SIMs in pages of at most 50, as many as are asked for up to that; `asked` keeps the offsets."""

import http.server
import json
import threading
from urllib.parse import parse_qs, urlsplit

SIMS = [{"iccid": f"8988307000000{number:06d}", "state": "ACTIVE"} for number in range(120)]
asked: list[int] = []


class Carrier(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        offset = int(query.get("offset", ["0"])[0])
        limit = min(50, int(query.get("limit", ["50"])[0]))
        asked.append(offset)
        body = json.dumps({"total": len(SIMS), "sims": SIMS[offset : offset + limit]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Carrier)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}"
PYTHON
RUNTIME__DLTHUB_TELEMETRY=false dlt/bin/python - <<'PYTHON'
import sys

from carrier import URL, asked
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator

seen = []
for ends in ({"total_path": "total"}, {"total_path": None, "stop_after_empty_page": True}):
    asked.clear()
    pages = RESTClient(URL).paginate("/sims", paginator=OffsetPaginator(limit=100, **ends), data_selector="sims")
    seen.append((len({row["iccid"] for page in pages for row in page}), list(asked)))
    print("dlt", ends, *seen[-1])
sys.exit(0 if seen == [(70, [0, 100]), (70, [0, 100, 200])] else "changed")
PYTHON
airbyte-cdk/bin/python - <<'PYTHON'
import logging
import sys

from airbyte_cdk.models import (
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from carrier import URL, asked


def parameter(name: str) -> dict[str, str]:
    return {"type": "RequestOption", "inject_into": "request_parameter", "field_name": name}


stream = {
    "type": "DeclarativeStream",
    "name": "sims",
    "primary_key": ["iccid"],
    "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {"iccid": {"type": "string"}}}},
    "retriever": {
        "type": "SimpleRetriever",
        "requester": {"type": "HttpRequester", "url_base": URL, "path": "/sims", "http_method": "GET"},
        "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": ["sims"]}},
        "paginator": {
            "type": "DefaultPaginator",
            "pagination_strategy": {"type": "OffsetIncrement", "page_size": 100},
            "page_token_option": parameter("offset"),
            "page_size_option": parameter("limit"),
        },
    },
}
manifest = {
    "version": "6.0.0",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["sims"]},
    "streams": [stream],
    "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
}
sims = AirbyteStream(name="sims", json_schema={}, supported_sync_modes=[SyncMode.full_refresh])
catalog = ConfiguredAirbyteCatalog(
    streams=[
        ConfiguredAirbyteStream(
            stream=sims, sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.overwrite
        )
    ]
)
logging.disable(logging.INFO)
source = ConcurrentDeclarativeSource(catalog=catalog, config={}, state=[], source_config=manifest)
messages = list(source.read(logging.getLogger("sims"), {}, catalog, []))
rows = {message.record.data["iccid"] for message in messages if message.type == Type.RECORD}
last = [message.trace.stream_status.status.value for message in messages if message.type == Type.TRACE][-1]
print("Airbyte", len(rows), asked, last)
sys.exit(0 if (len(rows), asked, last) == (50, [0], "COMPLETE") else "changed")
PYTHON
