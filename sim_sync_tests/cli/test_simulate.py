import json
import signal
import urllib.request

from sim_sync_tests.cli.command_line import CommandLine, an_account


def test_simulate_says_where_it_listens_and_ends_with_sigterm(command_line: CommandLine) -> None:
    with command_line.start("simulate", "--sims", "25") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        command_line.write_carriers(acme=an_account(ready["url"]))
        assert command_line.type_in("check").code == 0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "25 SIMs of twilio_super_sim" in err


def test_simulate_ends_with_control_c_and_without_a_traceback(command_line: CommandLine) -> None:
    with command_line.start("simulate", "--sims", "25", "--quiet") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_port_that_is_taken_is_one_message(command_line: CommandLine) -> None:
    with command_line.start("simulate", "--quiet") as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["url"].rsplit(":", 1)[1]
        said = command_line.run("simulate", "--port", port)
        process.send_signal(signal.SIGTERM)
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert f":{port}" in said.err


def test_the_simulated_carrier_answers_only_on_loopback(command_line: CommandLine) -> None:
    with command_line.start("simulate", "--quiet") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        assert url.startswith("http://127.0.0.1:")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/_simulator/state", timeout=30).close()
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
