"""A thousand walks over lists that are not what they seem: no SIM that is there is marked as gone, and each ends."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.session import State
from sim_sync_tests.carriers.odd_lists import BEHIND, ORDERS, Night, OddList
from sim_sync_tests.carriers.odd_nights import STYLES, Deployment, Harness, odd_nights

NIGHTS = 5


def live_through(harness: Harness, style: str, sims: OddList, kept: Sequence[Night]) -> None:
    """Live through a first night that is what it seems, and then through others."""
    harness.given = sims
    sims.by_key = style == "keyset"
    with TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder), harness.server.url, STYLES[style], sims.size)
        for night in [Night(), *kept]:
            sims.begin(night)
            session = deployment.night()
            assert sims.requests < 400, (night, session)
            assert session.state in {State.COMPLETED, State.FAILED, State.PARKED}
            assert session.state is State.COMPLETED or session.last_error
            lied_about = deployment.marked() & sims.there_all_night & set(sims.fleet)
            assert not lied_about, (night, session, sorted(lied_about))


lists = st.builds(
    lambda listed, size, seed: OddList(size, seed, list(range(listed))),
    st.integers(0, 30),
    st.integers(1, 9),
    st.integers(0, 2**32),
)


@pytest.mark.parametrize("style", STYLES)
@given(sims=lists, kept=st.lists(odd_nights, min_size=NIGHTS - 1, max_size=NIGHTS - 1))
@settings(max_examples=17, deadline=None)
def test_no_sim_that_is_there_is_marked_as_gone_and_every_walk_ends(
    harness: Harness, style: str, sims: OddList, kept: list[Night]
) -> None:
    live_through(harness, style, sims, kept)


#: Styles that are told how many SIMs there are, and a key, which stays where it is.
TOLD = [name for name in STYLES if "total" in STYLES[name] and "pages" not in name] + ["page number and both", "keyset"]
honest_nights = st.builds(
    Night,
    order=st.sampled_from(ORDERS),
    parameters=st.sampled_from(["obeyed", "size capped"]),
    behind=st.sampled_from(BEHIND),
    removed_before=st.integers(0, 2),
    added_before=st.integers(0, 2),
    grows_at=st.frozensets(st.integers(1, 6), max_size=1),
    shrinks_at=st.dictionaries(st.integers(1, 8), st.integers(0, 29), max_size=3),
)


@pytest.mark.parametrize("style", TOLD)
@given(sims=lists, kept=st.lists(honest_nights, min_size=NIGHTS - 1, max_size=NIGHTS - 1))
@settings(max_examples=10, deadline=None)
def test_nor_is_one_that_moved_up_because_others_left_while_the_list_was_walked(
    harness: Harness, style: str, sims: OddList, kept: list[Night]
) -> None:
    live_through(harness, style, sims, kept)


@pytest.mark.parametrize("style", STYLES)
def test_what_has_left_an_honest_list_is_marked(harness: Harness, style: str) -> None:
    sims = OddList(4, 1, list(range(10)), by_key=style == "keyset")
    harness.given = sims
    with TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder), harness.server.url, STYLES[style], sims.size)
        for number in range(3):
            sims.begin(Night(removed_before=number == 1))
            assert deployment.night().state is State.COMPLETED
        assert len(deployment.marked()) == 1
