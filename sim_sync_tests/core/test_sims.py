from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.sims import (
    TRACKED_FIELDS,
    FieldChange,
    Lifecycle,
    Sim,
    StatusMeaning,
    StatusWords,
    tracked_changes,
)
from sim_sync_tests.fakes.fleet import a_sim

WORDS = StatusWords(
    {
        "active": StatusMeaning(Lifecycle.ACTIVE),
        "ready": StatusMeaning(Lifecycle.ACTIVATION_READY),
        "pending-activation": StatusMeaning(Lifecycle.INVENTORY, pending=True),
    }
)


def another(field: str) -> Any:
    """Return a value that the field of `a_sim()` does not have."""
    if field == "pending":
        return True
    return datetime(2026, 1, 1, tzinfo=UTC) if field.endswith("_at") else "other"


def test_a_sim_that_says_nothing_more_than_its_id_is_unknown_and_unflagged() -> None:
    sim = Sim("HS123")
    assert (sim.status, sim.pending, sim.attributes, sim.quality_flags) == ("unknown", False, "{}", "[]")


def test_the_lifecycle_has_the_words_of_the_contract() -> None:
    assert [state.value for state in Lifecycle] == [
        "inventory",
        "test_ready",
        "activation_ready",
        "active",
        "suspended",
        "deactivated",
        "terminated",
        "replaced",
        "unknown",
    ]


@pytest.mark.parametrize("field", TRACKED_FIELDS)
def test_a_change_of_a_tracked_field_is_told_with_both_values(field: str) -> None:
    changed = a_sim(**{field: another(field)})
    assert [(change.sim_id, change.field) for change in tracked_changes(a_sim(), changed)] == [("sim-0001", field)]


@pytest.mark.parametrize("field", sorted(set(Sim._fields) - set(TRACKED_FIELDS) - {"sim_id"}))
def test_a_change_of_a_clock_a_counter_or_a_derived_field_is_not_told(field: str) -> None:
    assert list(tracked_changes(a_sim(), a_sim(**{field: another(field)}))) == []


def test_values_are_told_as_text() -> None:
    old = a_sim(pending=False, label="here", activated_at=None)
    new = a_sim(pending=True, label=None, activated_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert list(tracked_changes(old, new)) == [
        FieldChange("sim-0001", "pending", "false", "true"),
        FieldChange("sim-0001", "label", "here", None),
        FieldChange("sim-0001", "activated_at", None, "2026-01-02T03:04:05+00:00"),
    ]


def test_an_empty_text_is_not_the_same_as_nothing() -> None:
    assert list(tracked_changes(a_sim(label=None), a_sim(label=""))) == [FieldChange("sim-0001", "label", None, "")]


@given(st.sets(st.sampled_from(TRACKED_FIELDS)))
def test_changes_are_told_in_the_order_of_the_fields(fields: set[str]) -> None:
    changed = a_sim(**{field: another(field) for field in fields})
    told = [change.field for change in tracked_changes(a_sim(), changed)]
    assert told == [field for field in TRACKED_FIELDS if field in fields]


@pytest.mark.parametrize("word", ["active", "ACTIVE", " Active "])
def test_a_status_word_is_known_without_regard_to_case(word: str) -> None:
    assert WORDS[word] == StatusMeaning(Lifecycle.ACTIVE)
    assert word in WORDS


@pytest.mark.parametrize("word", ["pending-activation", "Pending Activation", "PENDING_ACTIVATION"])
def test_hyphens_spaces_and_underscores_are_the_same(word: str) -> None:
    assert WORDS[word] == StatusMeaning(Lifecycle.INVENTORY, pending=True)


@given(st.text())
def test_an_unlisted_word_is_unknown_and_never_active(word: str) -> None:
    if word not in WORDS:
        assert WORDS[word] == StatusMeaning(Lifecycle.UNKNOWN)


def test_an_override_replaces_and_adds_words_and_leaves_the_original_alone() -> None:
    words = WORDS.overridden_by(
        {"READY": StatusMeaning(Lifecycle.TEST_READY), "gone": StatusMeaning(Lifecycle.TERMINATED)}
    )
    assert [words[word].status for word in ("active", "ready", "Gone")] == [
        Lifecycle.ACTIVE,
        Lifecycle.TEST_READY,
        Lifecycle.TERMINATED,
    ]
    assert WORDS["ready"] == StatusMeaning(Lifecycle.ACTIVATION_READY)
    assert "gone" not in WORDS
