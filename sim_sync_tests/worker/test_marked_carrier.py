from sim_sync.worker.marked_carrier import MarkedCarrier
from sim_sync_tests.fakes.carrier import ScriptedCarrier, paged
from sim_sync_tests.fakes.fleet import a_fleet


def test_the_point_after_a_fetch_is_passed_once_a_page_and_nothing_else_is_changed() -> None:
    carrier = ScriptedCarrier(pages=paged(a_fleet(4), 2))
    passed: list[str] = []
    marked = MarkedCarrier(carrier, passed.append)

    first = marked.fetch_page(marked.first_cursor())

    assert passed == ["fetch_page:fetched"]
    assert (marked.name, marked.config_hash) == (carrier.name, carrier.config_hash)
    assert first == carrier.fetch_page(carrier.first_cursor())
    assert first.next_cursor is not None
    marked.fetch_page(first.next_cursor)
    assert passed == ["fetch_page:fetched"] * 2
