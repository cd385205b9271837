import pytest

from sim_sync.core.errors import ConfigError
from sim_sync.core.sims import Lifecycle, StatusMeaning
from sim_sync_tests.config.conftest import Load

BASE = {
    "type": "twilio_super_sim",
    "auth": "{username: AC1, password: {env: ACME_TOKEN}}",
}


def text_of(**keys: str) -> str:
    """Return a config with one carrier of these keys, each with its YAML text."""
    lines = [f"    {key}: {value}" for key, value in (BASE | keys).items()]
    return "\n".join(["carriers:", "  acme:", *lines]) + "\n"


def problems(load: Load, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(text, **environ).carrier("acme")
    return [str(problem).removeprefix(f"{problem.where}: ") for problem in refused.value.problems]


def test_a_carrier_has_the_defaults_of_its_vendor_and_of_the_design(load: Load) -> None:
    carrier = load(text_of()).carrier("acme")
    settings = carrier.settings
    assert (settings.base_url, settings.page_size) == ("https://supersim.twilio.com", 1000)
    assert (settings.timeouts.connect_seconds, settings.timeouts.read_seconds) == (5, 30)
    retry = settings.retry
    assert (retry.base_seconds, retry.ceiling_seconds, retry.max_attempts, retry.park_after_seconds) == (1, 60, 8, 300)
    assert (carrier.sweep.max_vanished_percent, carrier.sweep.min_vanished_count) == (5, 20)
    assert carrier.quarantine.max_percent == 1
    assert (carrier.run_budget.minutes, carrier.run_budget.pages) == (None, None)
    assert (carrier.max_session_age_hours, carrier.lease_seconds) == (24, 30)


def test_every_key_of_the_design_is_understood(load: Load) -> None:
    carrier = load(
        text_of(
            base_url="https://supersim.example.com/",
            page_size="500",
            rate_limit="{requests_per_second: 10, burst: 3, max_in_flight: 4, shared_key: eu}",
            timeouts="{connect_seconds: 1, read_seconds: 2}",
            retry="{base_seconds: 0.1, ceiling_seconds: 2, max_attempts: 3, park_after_seconds: 7}",
            sweep="{max_vanished_percent: 1, min_vanished_count: 2}",
            quarantine="{max_percent: 3}",
            run_budget="{minutes: 5, pages: 6}",
            max_session_age_hours="12",
            statuses="{Paused: suspended, moving: {status: active, pending: true}}",
        )
    ).carrier("acme")
    assert carrier.settings.base_url == "https://supersim.example.com"
    assert carrier.settings.rate_limit.shared_key == "eu"
    assert carrier.settings.statuses == {
        "Paused": StatusMeaning(Lifecycle.SUSPENDED),
        "moving": StatusMeaning(Lifecycle.ACTIVE, pending=True),
    }
    assert (carrier.run_budget.minutes, carrier.run_budget.pages) == (5, 6)


def test_a_null_of_the_design_is_no_limit(load: Load) -> None:
    assert load(text_of(run_budget="{minutes: null, pages: null}")).carrier("acme").run_budget.pages is None


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080/prefix", True),
        ("http://[::1]:8080", True),
        ("https://api.example.com", True),
        ("http://api.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("https://user:secret@api.example.com", False),
        ("https://api.example.com?key=1", False),
        ("ftp://api.example.com", False),
        ("api.example.com", False),
        ("https://", False),
        ("https://api.example.com:port", False),
    ],
)
def test_http_is_for_loopback_only_and_a_base_url_is_nothing_but_an_origin_and_a_path(
    load: Load, url: str, is_taken: bool
) -> None:
    text = text_of(base_url=f'"{url}"')
    if is_taken:
        assert load(text).carrier("acme").settings.base_url == url
    else:
        (told,) = problems(load, text)
        assert told.startswith("carriers.acme.base_url: expected ")
        assert "secret" not in told


def test_insecure_http_has_to_be_allowed(load: Load) -> None:
    text = text_of(base_url="http://api.example.com", allow_insecure="true")
    assert load(text).carrier("acme").settings.base_url == "http://api.example.com"


def test_a_page_larger_than_the_vendors_is_refused_unless_the_cap_is_raised(load: Load) -> None:
    assert problems(load, text_of(page_size="1001")) == [
        (
            "carriers.acme.page_size: expected at most 1000, the largest page of twilio_super_sim "
            "(max_page_size overrides it), found 1001"
        )
    ]
    assert load(text_of(page_size="1001", max_page_size="5000")).carrier("acme").settings.page_size == 1001
    assert load(text_of(max_page_size="200")).carrier("acme").settings.page_size == 200


def test_a_missing_variable_is_told_once_by_its_name(load: Load) -> None:
    text = text_of(auth="{username: AC1, password: {env: NOT_THERE}}")
    assert problems(load, text) == [
        "carriers.acme.auth.password: expected the environment variable NOT_THERE to be set; it is not set"
    ]
    assert problems(load, text, NOT_THERE="") == [
        "carriers.acme.auth.password: expected the environment variable NOT_THERE to be set; it is empty"
    ]


def test_a_variable_may_have_a_default(load: Load) -> None:
    text = text_of(base_url='{env: HERE, default: "https://default.example.com"}')
    assert load(text).carrier("acme").settings.base_url == "https://default.example.com"
    assert load(text, HERE="https://here.example.com").carrier("acme").settings.base_url == "https://here.example.com"


def test_a_number_from_the_environment_is_a_number(load: Load) -> None:
    assert load(text_of(page_size="{env: SIZE}"), SIZE="50").carrier("acme").settings.page_size == 50


@pytest.mark.parametrize(
    ("keys", "environ"),
    [
        ({"auth": "{username: AC1, password: [a-secret-value]}"}, {}),
        ({"auth": "{username: AC1, password: {inner: a-secret-value}}"}, {}),
        ({"auth": "a-secret-value"}, {}),
        ({"page_size": "{env: SIZE}"}, {"SIZE": "a-secret-value"}),
        ({"base_url": "{env: URL}"}, {"URL": "https://me:a-secret-value@example.com"}),
        ({"lease_seconds": "https://me:a-secret-value@example.com"}, {}),
    ],
)
def test_a_problem_never_shows_a_value_that_may_be_secret(
    load: Load, keys: dict[str, str], environ: dict[str, str]
) -> None:
    told = problems(load, text_of(**keys), **environ)
    assert told
    assert "a-secret-value" not in "\n".join(told)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("page_size", "0"),
        ("rate_limit", "{requests_per_second: -1}"),
        ("rate_limit", "fast"),
        ("timeouts", "{read_seconds: 0}"),
        ("retry", "{max_attempts: 0}"),
        ("sweep", "{max_vanished_percent: 101}"),
        ("quarantine", "{max_percent: -1}"),
        ("run_budget", "{pages: 0}"),
        ("max_session_age_hours", "0"),
        ("lease_seconds", "0.5"),
        ("statuses", "{LIVE: alive}"),
        ("statuses", "[LIVE]"),
        ("allow_insecure", "maybe"),
        ("timeuots", "{}"),
    ],
)
def test_a_value_out_of_its_bounds_is_told_with_its_key(load: Load, key: str, value: str) -> None:
    told = problems(load, text_of(**{key: value}))
    assert len(told) == 1
    assert told[0].startswith(f"carriers.acme.{key}")


def test_the_session_hash_changes_with_what_gives_cursors_their_meaning_and_with_nothing_else(load: Load) -> None:
    from sim_sync.worker.stopping import StopSignal

    def digest(**keys: str) -> str:
        return load(text_of(**keys), OTHER="another-token").carrier("acme").build(StopSignal()).config_hash

    same = digest()
    assert digest(auth="{username: AC1, password: {env: OTHER}}") == same
    assert digest(retry="{max_attempts: 3}", timeouts="{read_seconds: 9}", lease_seconds="5") == same
    assert digest(rate_limit="{requests_per_second: 1}") == same
    different = {
        digest(auth="{username: AC2, password: {env: ACME_TOKEN}}"),
        digest(base_url="https://other.example.com"),
        digest(page_size="10"),
    }
    assert len(different) == 3
    assert same not in different


@pytest.mark.parametrize(
    "keys",
    [
        {"account": "0000123-00001"},
        {"options": "{account: 0000123-00001}"},
        {"auth": "{client_id: a, client_secret: bbbb, username: c, password: dddd, account: 0000123-00001}"},
    ],
)
def test_an_option_of_the_connector_may_stand_beside_the_common_keys_or_the_credentials(
    load: Load, keys: dict[str, str]
) -> None:
    auth = {"auth": "{client_id: a, client_secret: bbbb, username: c, password: dddd}"}
    carrier = load(text_of(**({"type": "thingspace"} | auth | keys))).carrier("acme")
    assert carrier.settings.options.account == "0000123-00001"


OF_THE_LIST = frozenset({"path", "pagination", "records", "method"})


def rest_with(**keys: str) -> str:
    """Return a config of the type `rest` with some of its keys replaced."""
    given = {
        "type": "rest",
        "base_url": "http://127.0.0.1:1",
        "auth": "{type: bearer, token: x}",
        "path": "/sims",
        "pagination": "{type: cursor, path: next, to_query: after}",
        "fields": "{sim_id: id}",
    } | keys
    listed = ", ".join(f"{key}: {text}" for key, text in given.items() if key in OF_THE_LIST)
    return text_of(list=f"{{{listed}}}", **{key: text for key, text in given.items() if key not in OF_THE_LIST})


@pytest.mark.parametrize("value", ["tok-4711-abcdef[", "tok-4711 abcdef", "4711'|abcdef"])
@pytest.mark.parametrize(
    "keys",
    [
        {"fields": "{sim_id: {env: VALUE}}"},
        {"fields": "{sim_id: id, label: {env: VALUE}}"},
        {"records": "{env: VALUE}"},
        {"path": "{env: VALUE}"},
        {"method": "{env: VALUE}"},
        {"pagination": "{type: {env: VALUE}, path: next, to_query: after}"},
        {"pagination": "{type: cursor, path: {env: VALUE}, to_query: after}"},
        {"pagination": "{type: cursor, header: {env: VALUE}, to_query: after}"},
        {"pagination": "{type: cursor, path: next, to_body: {env: VALUE}}", "method": "POST"},
        {"pagination": "{type: page_number, page_param: page, total: {header: {env: VALUE}}}"},
        {"pagination": "{type: page_number, page_param: page, first_page: {env: VALUE}}"},
        {"auth": "{type: header, name: {env: VALUE}, value: x}"},
        {"auth": "{type: {env: VALUE}, token: x}"},
        {"auth": "{type: oauth2_client_credentials, token_url: {env: VALUE}, client_id: a, client_secret: b}"},
        {"base_url": "{env: VALUE}"},
        {"type": "{env: VALUE}"},
        {"page_size": "{env: VALUE}"},
        {"msisdn_region": "{env: VALUE}"},
        {"statuses": "{ON: {env: VALUE}}"},
        {"rate_limit": "{requests_per_second: {env: VALUE}}"},
        {"retry": "{env: VALUE}"},
        {"no_such_key": "{env: VALUE}"},
    ],
    ids=str,
)
def test_a_value_from_the_environment_is_told_by_its_variable_whatever_key_it_is_for(
    load: Load, keys: dict[str, str], value: str
) -> None:
    text = rest_with(**keys)
    try:
        load(text, VALUE=value).carrier("acme")
    except ConfigError as refused:
        told = f"{refused}{refused!r}{[repr(problem) for problem in refused.problems]}"
        assert "4711" not in told
        assert "abcdef" not in told
        assert "VALUE" in told or "an unknown key" in told or "{env" in told


def test_a_path_of_the_file_itself_is_shown_with_what_is_wrong_with_it(load: Load) -> None:
    (problem,) = problems(load, rest_with(fields="{sim_id: 'id['}"))
    assert "a JMESPath expression such as meta.total ('id[' is no JMESPath expression" in problem
