"""`sim-sync alerts`: what is open, whether receivers can be reached, and a round of it without Dagster."""

from typing import Any

import pytest

from sim_sync.core.session import Event, Release
from sim_sync_tests.cli.command_line import CommandLine, an_account, assert_one_message
from sim_sync_tests.fakes.mail_server import mail_server
from sim_sync_tests.fakes.raw_server import RawServer, reply, serving

_LOGIN = {"host": "m", "from": "a@b.c", "to": "x@y.z", "user": "u", "password": "s3cr3t"}
SECRET = "a-s3cret-that-signs"


def configure(command_line: CommandLine, *on: Any, **receivers: Any) -> None:
    alerts = receivers | {"on": list(on or ["session_failed"])}
    command_line.write_config({"carriers": {"acme": an_account("http://127.0.0.1:9")}, "alerts": alerts})


def fail_the_session(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=1)
    command_line.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))


def told(server: RawServer) -> list[str]:
    return [request.json()["event"] for request in server.received]


def test_what_began_and_what_is_over_is_sent_once(command_line: CommandLine) -> None:
    with serving(lambda _request: reply(200)) as server:
        configure(command_line, webhook={"url": server.url, "secret": SECRET})
        fail_the_session(command_line)
        said = command_line.type_in("alerts", "send")
        assert (said.code, said.out, said.err) == (0, "1 opened, 0 over, 1 message delivered\n", "")
        assert command_line.type_in("alerts", "send").out == "0 opened, 0 over, 0 messages delivered\n"
        assert command_line.type_in("pause", "acme").code == 0
        assert command_line.type_in("alerts", "send").out == "0 opened, 1 over, 1 message delivered\n"
    assert told(server) == ["opened", "closed"]
    assert server.received[0].json()["carrier"] == "acme"


def test_what_a_dead_receiver_did_not_take_is_said_and_listed_and_the_exit_code_is_3(command_line: CommandLine) -> None:
    configure(command_line, webhook={"url": "http://127.0.0.1:9/s3cr3t-path"})
    fail_the_session(command_line)
    said = command_line.type_in("alerts", "send")
    assert said.code == 3
    assert "not delivered: webhook: " in said.out
    assert "1 message not delivered yet; the next attempt is due " in said.out
    again = command_line.type_in("alerts", "send")
    assert (again.code, again.out.splitlines()[0]) == (3, "0 opened, 0 over, 0 messages delivered")
    listed = command_line.type_in("alerts", "list")
    assert "webhook opened: tried 1 time" in " ".join(listed.out.split())
    assert "s3cr3t" not in said.out + listed.out + command_line.type_in("alerts", "list", "--json").out


def test_the_list_has_what_is_open_and_with_all_what_is_over(command_line: CommandLine) -> None:
    configure(command_line)
    fail_the_session(command_line)
    command_line.type_in("alerts", "send")
    (alert,) = command_line.type_in("alerts", "list", "--json").document
    assert (alert["carrier"], alert["kind"], alert["closed_at"], alert["deliveries"]) == (
        "acme",
        "session_failed",
        None,
        [],
    )
    assert command_line.type_in("alerts", "list").out.endswith("1 alert open or not delivered\n")
    command_line.type_in("pause", "acme")
    command_line.type_in("alerts", "send")
    assert command_line.type_in("alerts", "list", "--json").document == []
    (alert,) = command_line.type_in("alerts", "list", "--all", "--carrier", "acme", "--json").document
    assert alert["closed_at"] is not None
    assert "a person paused" in alert["closing_message"]
    assert "session failed: over" in command_line.type_in("alerts", "list", "--all").out


def test_the_alerts_of_a_carrier_that_left_the_configuration_are_closed_by_a_person_and_their_end_is_told(
    command_line: CommandLine,
) -> None:
    with serving(lambda _request: reply(200)) as server:
        webhook = {"url": server.url, "secret": SECRET}
        configure(command_line, "session_failed", "not_fresh", webhook=webhook)
        fail_the_session(command_line)
        assert command_line.type_in("alerts", "send").out.startswith("2 opened, ")
        assert_one_message(command_line.type_in("alerts", "close", "acme"), 2, "acme", "over by themselves")

        zeta_alone = {"zeta": an_account("http://127.0.0.1:9")}
        alerts = {"on": ["session_failed"], "webhook": webhook}
        command_line.write_config({"carriers": zeta_alone, "alerts": alerts})
        assert command_line.type_in("alerts", "send").out == "0 opened, 0 over, 0 messages delivered\n"
        assert command_line.type_in("alerts", "close", "acme").out == "acme: 2 alerts closed\n"
        assert command_line.type_in("alerts", "send").out == "0 opened, 0 over, 2 messages delivered\n"
    assert sorted(told(server)) == ["closed", "closed", "opened", "opened"]
    assert all("left the configuration" in request.json()["message"] for request in server.received[2:])
    assert_one_message(command_line.type_in("alerts", "close", "acme"), 2, "no alert of the carrier 'acme' is open")


def test_a_list_of_a_carrier_that_there_is_not_is_refused(command_line: CommandLine) -> None:
    assert_one_message(command_line.type_in("alerts", "list", "--carrier", "nobody"), 2, "nobody")


def test_a_test_message_says_what_became_of_it_at_each_receiver(command_line: CommandLine) -> None:
    with serving(lambda _request: reply(200)) as server, mail_server() as mail:
        smtp = {"host": "127.0.0.1", "port": mail.port, "starttls": False, "from": "a@b.c", "to": "d@e.f"}
        dead = {"name": "dead", "url": "http://127.0.0.1:9"}
        configure(command_line, webhook=[{"url": server.url}, dead], smtp=smtp)
        said = command_line.type_in("alerts", "test")
        assert said.code == 1
        lines = said.out.splitlines()
        assert lines[0] == "webhook: delivered"
        assert lines[1].startswith("dead: not delivered: ")
        assert lines[2] == "smtp: delivered"
        assert command_line.type_in("alerts", "test", "smtp").code == 0
        found = command_line.type_in("alerts", "test", "dead", "--json")
        assert (found.code, found.document[0]["receiver"], found.document[0]["delivered"]) == (1, "dead", False)
    assert told(server) == ["test"]
    assert len(mail.received) == 2
    assert command_line.type_in("alerts", "list", "--all", "--json").document == []


@pytest.mark.parametrize("command", ["send", "test"])
def test_without_the_section_there_is_nobody_to_tell(command_line: CommandLine, command: str) -> None:
    assert_one_message(command_line.type_in("alerts", command), 2, "has no section `alerts`")


def test_a_test_of_nobody_is_refused(command_line: CommandLine) -> None:
    configure(command_line)
    assert_one_message(command_line.type_in("alerts", "test"), 2, "has no receiver")
    configure(command_line, webhook={"url": "http://127.0.0.1:9"})
    assert_one_message(command_line.type_in("alerts", "test", "pager"), 2, "'pager'", "webhook")


def test_a_secret_that_is_not_set_is_named_by_its_variable(command_line: CommandLine) -> None:
    configure(command_line, webhook={"url": {"env": "ALERT_URL"}})
    assert_one_message(command_line.type_in("alerts", "send"), 2, "alerts.webhook.url", "ALERT_URL")


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ({"on": ["nothing"]}, "alerts.on.0: expected one of session_failed"),
        ({"on": [{"findings_over": -1}]}, "a whole number that is not negative after findings_over"),
        ({"on": [{"findings_over": 1.5}]}, "a whole number that is not negative after findings_over"),
        ({"on": [{"parked_over_minutes": 0}]}, "a number of minutes, at least 1, after parked_over_minutes"),
        ({"on": [{"session_failed": 1}]}, "session_failed without a threshold"),
        ({"on": ["not_fresh", "not_fresh"]}, "each kind once in `on`"),
        ({"webhook": {"url": "http://hooks.example/s3cr3t"}}, "https, because whoever knows the URL can write there"),
        ({"webhook": {"url": "ftp://hooks.example/s3cr3t"}}, "a URL such as https://"),
        ({"webhook": {"url": "https://u:s3cr3t@hooks.example"}}, "without a user in it"),
        ({"webhook": {"url": "https://hooks.example", "secret": "s3cr3t"}}, "alerts.webhook.secret: expected"),
        (
            {"webhook": [{"url": "https://a.example", "name": "x"}, {"url": "https://b.example", "name": "x"}]},
            "different names",
        ),
        ({"smtp": {"host": "m", "from": "a@b.c", "to": []}}, "at least one mail address"),
        ({"smtp": {"host": "m", "from": "a@b.c", "to": "x@y.z\r\nBcc: q@q.q"}}, "a plain mail address"),
        ({"smtp": {"host": "m", "from": "a@b.c", "to": "x@y.z", "user": "u"}}, "`user` and `password` together"),
        (
            {
                "smtp": {
                    "host": "m",
                    "from": "a@b.c",
                    "to": "x@y.z",
                    "user": "u",
                    "password": "s3cr3t",
                    "starttls": False,
                }
            },
            "because a password is sent",
        ),
    ],
)
def test_a_section_that_cannot_be_used_is_told_without_a_secret(
    command_line: CommandLine, alerts: dict[str, Any], expected: str
) -> None:
    command_line.write_config({"carriers": {"acme": an_account("http://127.0.0.1:9")}, "alerts": alerts})
    said = command_line.type_in("alerts", "send")
    assert_one_message(said, 2, expected)
    assert "s3cr3t" not in said.err


def test_a_secret_that_only_dagster_has_keeps_no_other_command_from_its_work(command_line: CommandLine) -> None:
    configure(command_line, webhook={"url": {"env": "ALERT_URL"}})
    assert command_line.type_in("status").code == 0
    assert_one_message(command_line.type_in("check"), 2, "alerts.webhook.url", "ALERT_URL")
