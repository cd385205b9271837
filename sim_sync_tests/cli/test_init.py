"""`sim-sync init`: from nothing to a `carriers.yaml` that can be read, without a secret on the way."""

import io

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync.config import load_config
from sim_sync_tests.cli.command_line import CommandLine, Said, assert_one_message
from sim_sync_tests.cli.terminal import answered_in_terminal

HEADER = "\ufeffICCID;Provider;Sim State;Phone number;Tariff;Shelf\n"


@pytest.fixture
def empty_folder(command_line: CommandLine) -> CommandLine:
    (command_line.folder / "carriers.yaml").unlink()
    return command_line


def answered(command_line: CommandLine, answers: str, *options: str) -> Said:
    command_line.monkeypatch.setattr("sys.stdin", io.StringIO(answers))
    return command_line.type_in("init", *options)


def test_enter_alone_writes_a_file_that_can_be_read_and_says_what_is_next(empty_folder: CommandLine) -> None:
    said = answered(empty_folder, "\n" * 20)
    assert said.code == 0
    assert "TWILIO_SUPER_SIM_USERNAME, TWILIO_SUPER_SIM_PASSWORD" in said.out
    assert "sim-sync check twilio-super-sim" in said.out
    assert load_config().carrier_names == ("twilio-super-sim",)


@pytest.mark.parametrize("kind", sorted(connectors()))
def test_an_input_that_ends_makes_a_usable_carrier_of_every_type(empty_folder: CommandLine, kind: str) -> None:
    said = answered(empty_folder, "", "--type", kind, "--carrier", "1-eu.a")
    assert said.code == 0
    names = said.out.partition("set ")[2].partition(" in the environment")[0].split(", ")
    empty_folder.set(**{name: "given" for name in names if name})
    assert load_config().carrier("1-eu.a").connector.type == kind


def test_the_answers_are_in_the_file_and_the_lists_header_names_its_columns(empty_folder: CommandLine) -> None:
    (empty_folder.folder / "ours.csv").write_text(HEADER, encoding="utf-8")
    answers = "cisco_control_center\ntele2\nhttps://rws.example.com\nUSER_NAME\nA_KEY\nours.csv\n"
    assert answered(empty_folder, answers).code == 0
    text = (empty_folder.folder / "carriers.yaml").read_text(encoding="utf-8")
    assert "username: {env: USER_NAME}" in text
    assert (
        "columns: {iccid: ICCID, carrier: Provider, status: Sim State, msisdn: Phone number, rate_plan: Tariff}" in text
    )
    empty_folder.set(USER_NAME="a", A_KEY="b")
    assert load_config().carrier("tele2").settings.base_url == "https://rws.example.com"


def test_a_list_without_a_column_for_the_carrier_belongs_to_this_one(empty_folder: CommandLine) -> None:
    assert answered(empty_folder, "", "--carrier", "eu", "--inventory", "not-there-yet.csv").code == 0
    text = (empty_folder.folder / "carriers.yaml").read_text(encoding="utf-8")
    assert "columns: {iccid: ICCID}" in text
    assert "carriers: [eu]" in text


@pytest.mark.parametrize("name", ["long.csv", "a\0b", "."], ids=["no line end", "no name of a file", "a folder"])
def test_a_list_without_a_header_that_can_be_read_is_named_all_the_same(empty_folder: CommandLine, name: str) -> None:
    (empty_folder.folder / "long.csv").write_text(f"iccid,{'x' * 200_000}", encoding="utf-8")
    assert answered(empty_folder, f"\n\n{name}\n", "--type", "telnyx").code == 0
    assert "columns: {iccid: " in (empty_folder.folder / "carriers.yaml").read_text(encoding="utf-8")


def test_a_file_that_is_there_stays_as_it_is(command_line: CommandLine) -> None:
    before = (command_line.folder / "carriers.yaml").read_bytes()
    assert_one_message(answered(command_line, "\n" * 20), 2, "carriers.yaml is there already")
    assert (command_line.folder / "carriers.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("nokia\n", "expected one of twilio_super_sim"),
        ("telnyx\nmy account\n", "expected letters, digits"),
        ("telnyx\neu\nsk-live-0123\n", "expected a name of capital letters"),
        ("tmf639\neu\nhttp://api.example.com\n", "expected https"),
    ],
)
def test_an_answer_that_cannot_be_used_writes_nothing_and_is_not_repeated(
    empty_folder: CommandLine, answers: str, expected: str
) -> None:
    said = answered(empty_folder, answers)
    assert_one_message(said, 2, expected, "nothing was written")
    assert "sk-live" not in said.err
    assert not (empty_folder.folder / "carriers.yaml").exists()


def test_an_option_that_cannot_be_used_is_refused_before_any_question(empty_folder: CommandLine) -> None:
    assert_one_message(answered(empty_folder, "", "--type", "nokia"), 2, "--type: expected one of", "found 'nokia'")


def test_a_person_is_asked_again(empty_folder: CommandLine) -> None:
    shown, code = answered_in_terminal(empty_folder, "init", answer="nokia\ntelnyx\neu\nTELNYX_KEY\n\n")
    assert code == 0
    assert "expected one of" in shown
    assert "api_key: {env: TELNYX_KEY}" in (empty_folder.folder / "carriers.yaml").read_text(encoding="utf-8")


def test_a_folder_that_is_not_there_is_one_sentence(empty_folder: CommandLine) -> None:
    empty_folder.set(SIM_SYNC_CONFIG=str(empty_folder.folder / "nowhere" / "carriers.yaml"))
    assert_one_message(answered(empty_folder, ""), 2, "cannot be written: No such file or directory")
