"""The examples of `docs/adding-a-carrier.md`, run as they stand there."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim_sync.carriers.registry import GROUP, collect
from sim_sync.config import load_config
from sim_sync_tests.carriers.declared import walk_declared
from sim_sync_tests.carriers.walking import iccid, told
from sim_sync_tests.fakes.raw_server import Received, reply, serving

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "adding-a-carrier.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


class Northwind:
    """The API, written from the page's description of it and not from its YAML."""

    COUNT = 412

    def subscription(self, number: int) -> dict[str, Any]:
        return {
            "uuid": f"{number:04x}",
            "card": {"iccid": iccid(number)},
            "number": f"49151{number:08d}",
            "phase": ("LIVE", "HOLD", "CLOSED")[number % 3],
            "tariff": "m2m-10",
            "started": 1711965600,
        }

    def script(self, request: Received) -> bytes:
        if request.headers.get("x-northwind-key") != "nw-1234567890":
            return reply(401, {"error": "no key"})
        assert (request.method, request.path) == ("GET", "/v2/subscriptions")
        asked = told(request)
        assert set(asked) <= {"limit", "cursor"}
        start, limit = int(asked.get("cursor", "at-0")[3:]), int(asked["limit"])
        rows = [self.subscription(number) for number in range(self.COUNT)][start : start + limit]
        following = f"at-{start + limit}" if start + limit < self.COUNT else None
        return reply(200, {"items": rows, "page": {"next": following, "count": self.COUNT}})


def test_the_yaml_alone_is_a_connector(tmp_path: Path) -> None:
    text = blocks("yaml")[0]
    with serving(Northwind().script) as server:
        file = tmp_path / "carriers.yaml"
        file.write_text(text.replace("https://api.northwind.example", server.url))
        config = load_config(file, environ={"NORTHWIND_KEY": "nw-1234567890"}).carrier("northwind")
        found = walk_declared(config)
        asked = [request.target for request in server.received]
    assert asked == [f"/v2/subscriptions?limit=200{more}" for more in ("", "&cursor=at-200", "&cursor=at-400")]
    assert found.column("iccid") == [iccid(number) for number in range(412)]
    assert set(found.column("status")) == {"active", "suspended", "terminated"}
    assert set(found.column("quality_flags")) == {"[]"}
    first = found.sims[0]
    assert (first.sim_id, first.msisdn, first.rate_plan) == ("0000", "+4915100000000", "m2m-10")
    assert first.activated_at is not None
    assert first.activated_at.isoformat() == "2024-04-01T10:00:00+00:00"
    assert found.pages[0].records_total == 412


def test_the_answer_that_the_page_shows_is_the_one_that_its_yaml_reads(tmp_path: Path) -> None:
    shown = json.loads(blocks("http")[0].partition("200 OK\n")[2])
    carrier = yaml.safe_load(blocks("yaml")[0])["carriers"]["northwind"]
    assert shown["items"][0].keys() >= {path.partition(".")[0] for path in carrier["fields"].values()}
    assert set(shown["page"]) == {"next", "count"}


@pytest.fixture
def contoso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's package as if it were installed: module, entry point, fixture and test."""
    connector, test = blocks("python")[:2]
    (tmp_path / "contoso_sims.py").write_text(connector)
    (tmp_path / "contoso_test.py").write_text(test)
    (tmp_path / "contoso_page.json").write_text(blocks("json")[0])
    name, value = re.findall(r'^(\w+) = "(.*)"$', blocks("toml")[0], re.MULTILINE)[0]
    folder = tmp_path / "contoso_sims-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: contoso-sims\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    for module in ("contoso_sims", "contoso_test"):
        sys.modules.pop(module, None)


def test_the_coded_example_passes_its_own_test(contoso: Path) -> None:
    importlib.import_module("contoso_test").test_the_documented_page_is_two_sims()


def test_the_coded_example_is_found_by_its_entry_point(contoso: Path) -> None:
    registry = collect(entry_points(group=GROUP))
    assert registry.connectors["contoso"].page_size == 100
    assert registry.problems == {}


def test_every_type_has_its_row_in_the_table_of_carriers() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| .* \| .* \| .* \|$", (DOCS / "carriers.md").read_text(), re.MULTILINE)
    assert rows == ["type", *collect([]).connectors]


def test_the_table_of_carriers_names_the_keys_of_auth() -> None:
    text = (DOCS / "carriers.md").read_text()
    for kind, connector in collect([]).connectors.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind}` |"))
        for key in getattr(connector.auth_model, "model_fields", {}):
            assert f"`{key}`" in row
        assert kind == "rest" or re.search(rf"\b{connector.page_size}\b", row)


COLUMNS = {"imsi", "msisdn", "imei", "eid", "rate_plan", "ip_address", "label", "account"}
TIMES = {"activated_at", "carrier_updated_at"}


@pytest.mark.parametrize("kind", sorted(set(collect([]).connectors) - {"kore_super_sim", "tmf639", "rest"}))
def test_the_table_of_carriers_names_the_columns_that_stay_empty(kind: str) -> None:
    row = next(line for line in (DOCS / "carriers.md").read_text().splitlines() if line.startswith(f"| `{kind}` |"))
    told = row.rstrip(" |").rpartition("|")[2]
    empty = (COLUMNS | TIMES) - set(collect([]).connectors[kind].record_map.fields)
    if kind == "cisco_control_center":
        assert told.strip() == "all but iccid, status, rate_plan"
        assert empty == (COLUMNS | TIMES) - {"rate_plan"}
    else:
        assert set(re.findall(r"[a-z_]+", told.partition(";")[0])) == empty
