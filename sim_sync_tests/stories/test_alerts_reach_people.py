"""A session fails and is mended: people are told once, whoever sends, whoever dies, and with a daemon alone."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml

from sim_sync.core.session import Event, Release
from sim_sync_tests.fakes.raw_server import RawServer, reply, serving
from sim_sync_tests.stories.place import CARRIER, PATIENCE_SECONDS, Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver() -> Iterator[RawServer]:
    with serving(lambda _request: reply(200)) as server:
        yield server


def watch(place: Workspace, url: str) -> None:
    """Let failed sessions be told to a webhook."""
    path = place.folder / "carriers.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["alerts"] = {"on": ["session_failed"], "webhook": {"url": url, "secret": "a-s3cret-that-signs"}}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def fail_the_session(place: Workspace) -> None:
    session = place.open()
    place.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))


def told(receiver: RawServer) -> list[tuple[str, str]]:
    return [(request.json()["kind"], request.json()["event"]) for request in list(receiver.received)]


OPENED, CLOSED = ("session_failed", "opened"), ("session_failed", "closed")


def test_many_senders_at_once_deliver_once(place: Workspace, receiver: RawServer) -> None:
    watch(place, receiver.url)
    fail_the_session(place)
    command = [sys.executable, "-m", "sim_sync", "alerts", "send"]
    senders = [
        subprocess.Popen(command, cwd=place.folder, env=place.environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [sender.communicate(timeout=PATIENCE_SECONDS)[0] for sender in senders]
    assert sum("1 opened" in output for output in outputs) == 1
    assert sum("1 message delivered" in output for output in outputs) == 1
    assert told(receiver) == [OPENED]


def test_a_message_outlives_the_death_of_its_sender_and_of_its_receiver(sqlite_place: Workspace) -> None:
    place = sqlite_place
    watch(place, "http://127.0.0.1:9")
    fail_the_session(place)
    assert place.sim_sync("alerts", "send").returncode == 3
    with serving(lambda _request: reply(200)) as receiver:
        watch(place, receiver.url)
        # The backoff of the dead receiver is over.
        place.wait_for(lambda: place.sim_sync("alerts", "send").returncode == 0 or None, "the delivery")
        assert told(receiver) == [OPENED]


def test_a_daemon_alone_tells_a_failure_and_its_end(sqlite_place: Workspace, receiver: RawServer) -> None:
    place = sqlite_place
    watch(place, receiver.url)
    fail_the_session(place)
    with place.daemon():
        place.wait_for(lambda: told(receiver) == [OPENED] or None, "the opening")
        place.sync()
        place.wait_for(lambda: told(receiver) == [OPENED, CLOSED] or None, "the end")
    assert place.session(CARRIER) is not None
