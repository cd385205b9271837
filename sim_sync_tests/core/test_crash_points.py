from sim_sync.core.sync import CRASH_POINTS, nothing_armed


def test_every_point_has_a_name_of_its_own() -> None:
    assert len(set(CRASH_POINTS)) == len(CRASH_POINTS)


def test_every_transaction_can_be_crashed_before_inside_and_after() -> None:
    for method in ("open_session", "commit_page", "plan_lookups", "commit_lookup", "close_session"):
        points = [point.partition(":")[2] for point in CRASH_POINTS if point.startswith(f"{method}:")]
        assert (points[0], points[-1]) == ("begun", "committed")
        assert len(points) >= 3


def test_the_normal_life_of_a_sync_passes_every_point_unharmed() -> None:
    for point in CRASH_POINTS:
        nothing_armed(point)
