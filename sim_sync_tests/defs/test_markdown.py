from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.sims import UNKNOWN_STATUS_FLAG
from sim_sync.core.storable import canonical_json
from sim_sync.defs.progress import code_span
from sim_sync_tests.defs.stage import DagsterHarness, GivenList
from sim_sync_tests.fakes.fleet import a_sim
from sim_sync_tests.fakes.hostile_texts import CONTROLS, MARKUPS
from sim_sync_tests.inventory.lists import ICCID


@given(st.text(st.sampled_from("`a b\n![](x)\x1b"), min_size=1))
def test_a_code_span_ends_only_at_its_end(text: str) -> None:
    span = code_span(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert span == f"{fence}{inside}{fence}"
    assert fence not in inside
    assert not inside.endswith("`")
    assert span.isprintable()


@pytest.mark.parametrize("text", MARKUPS)
def test_a_status_word_of_a_carrier_is_no_markdown_of_a_check(stage: DagsterHarness, text: str) -> None:
    odd: Any = {"status": "unknown", "carrier_status": text, "quality_flags": canonical_json([UNKNOWN_STATUS_FLAG])}
    stage.carrier.pages = [[a_sim(1), a_sim(2, **odd)]]

    (evaluation,) = (
        found for found in stage.run().get_asset_check_evaluations() if found.check_name == "status_words_are_known"
    )

    assert code_span(f"{text!r} (1)") in (evaluation.description or "")


@pytest.mark.parametrize("text", [*MARKUPS, *CONTROLS], ids=ascii)
def test_what_cannot_be_used_of_our_list_is_a_table_of_plain_texts(stage: DagsterHarness, text: str) -> None:
    stage.config.inventory = GivenList([(ICCID, "acme", text), (f"x{text}", "acme", "")])

    (materialization,) = stage.run().asset_materializations_for_node("sim_inventory")

    findings = materialization.metadata["findings"]
    assert isinstance(findings, dg.TableMetadataValue)
    assert (3, "ICCID") in [(row.data["line"], row.data["column"]) for row in findings.records]
    assert all(str(row.data["reason"]).isprintable() for row in findings.records)
    assert str(materialization.metadata["unknown_status_words"].value).isprintable()
