"""Which deployment is called, and that a key goes nowhere but to the URL it belongs to."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from langchain_sutro._core.service.driver import Session
from langchain_sutro._core.service.settings import Settings, check_url, resolve
from langchain_sutro.errors import SutroConfigurationError

ENV, FILE, GIVEN = "https://env.example", "https://file.example", "https://given.example"


@pytest.fixture
def ambient(monkeypatch):
    """Set the environment's and the login file's URL and key; None leaves one out."""

    def setup(env_url=None, env_key=None, file_url=None, file_key=None):
        for name, value in (("SUTRO_API_URL", env_url), ("SUTRO_API_KEY", env_key)):
            if value is not None:
                monkeypatch.setenv(name, value)
        if file_url is not None or file_key is not None:
            login({"api_url": file_url, "api_key": file_key})

    return setup


def login(content):
    folder = Path.home() / ".sutro"
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text)


def pair(settings):
    return settings.batch_url, settings.api_key.get_secret_value()


BOTH = {"env_url": ENV, "env_key": "k-env", "file_url": FILE, "file_key": "k-file"}
IN_FILE = {"file_url": FILE, "file_key": "k-file"}


@pytest.mark.parametrize(
    ("around", "given_key", "given_url", "expected"),
    [
        # Both explicit: nothing else counts.
        (BOTH, "k", GIVEN, (GIVEN, "k")),
        ({}, "k", GIVEN, (GIVEN, "k")),
        # A key alone goes with the environment's URL, never with a saved one.
        (BOTH, "k", None, (ENV, "k")),
        ({"env_url": ENV}, "k", None, (ENV, "k")),
        (IN_FILE, "k", None, "URL is not set"),
        ({"env_key": "k-env", **IN_FILE}, "k", None, "URL is not set"),
        # A URL alone gets the key that was set together with it.
        (BOTH, None, ENV, (ENV, "k-env")),
        (BOTH, None, ENV + "/v1/", (ENV, "k-env")),
        (IN_FILE, None, FILE, (FILE, "k-file")),
        (BOTH, None, FILE, "No API key"),
        (BOTH, None, GIVEN, "No API key"),
        (IN_FILE, None, GIVEN, "No API key"),
        ({"env_key": "k-env"}, None, GIVEN, "No API key"),
        ({"env_url": ENV, **IN_FILE}, None, FILE, "No API key"),
        # Nothing explicit: the environment if it says anything, else the file.
        (BOTH, None, None, (ENV, "k-env")),
        (IN_FILE, None, None, (FILE, "k-file")),
        ({"env_url": ENV, **IN_FILE}, None, None, "No API key"),
        ({"env_key": "k-env", **IN_FILE}, None, None, "URL is not set"),
        ({"env_url": "", **IN_FILE}, None, None, "URL is not set"),
        ({"env_url": "", "env_key": "", **IN_FILE}, None, None, "URL is not set"),
        ({"file_url": FILE}, None, None, "No API key"),
        ({"file_key": "k-file"}, None, None, "URL is not set"),
        ({}, None, None, "URL is not set"),
        # Blank is missing.
        (BOTH, "", GIVEN, "No API key"),
        (BOTH, "  ", GIVEN, "No API key"),
        ({}, "k", "", "URL is not set"),
    ],
)
def test_key_and_url_are_paired(ambient, around, given_key, given_url, expected):
    ambient(**around)
    if isinstance(expected, str):
        with pytest.raises(SutroConfigurationError, match=expected) as failed:
            resolve(given_key, given_url)
        assert "k-env" not in str(failed.value)
        assert "k-file" not in str(failed.value)
        assert "python -m langchain_sutro.local" in str(failed.value), "a way out is named"
    else:
        url, key = expected
        assert pair(resolve(given_key, given_url)) == (f"{url}/v1", key)


def test_a_secret_and_a_text_are_the_same_key():
    assert resolve(SecretStr(" k "), GIVEN) == resolve("k", GIVEN)


def test_the_older_name_of_the_url_in_the_login_file_is_read_if_there_is_no_newer():
    login({"base_url": FILE, "api_key": "k"})
    assert pair(resolve()) == (f"{FILE}/v1", "k")
    login({"base_url": GIVEN, "api_url": FILE, "api_key": "k"})
    assert pair(resolve()) == (f"{FILE}/v1", "k")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "\x00"])
def test_a_damaged_login_file_is_named(content):
    login(content)
    with pytest.raises(SutroConfigurationError, match=r"config\.json"):
        resolve()


def test_a_damaged_login_file_is_of_no_interest_when_both_are_given():
    login("{")
    assert pair(resolve("k", GIVEN)) == (f"{GIVEN}/v1", "k")


@pytest.mark.parametrize(
    "values", [{"api_url": 7, "api_key": "k"}, {"api_url": FILE, "api_key": 7}]
)
def test_a_login_file_with_values_of_another_kind_has_none(values):
    login(values)
    with pytest.raises(SutroConfigurationError):
        resolve()


def test_a_hosted_login_may_hold_the_key_alone():
    login({"api_key": "k"})
    settings = resolve(generation="hosted")
    assert settings.batch_url == "https://api.sutro.sh"
    assert settings.run_url == "https://serve.sutro.sh"


def test_the_key_shows_in_no_repr():
    settings = resolve("sk_secret", GIVEN)
    assert "sk_secret" not in f"{settings!r} {settings} {vars(Session(settings)).get('settings')}"


@pytest.mark.parametrize("key", ["kéy", "k\ny", "k\r\nx: y", "k\x00"])
def test_a_key_that_no_header_could_carry_is_refused(key):
    with pytest.raises(SutroConfigurationError, match="characters") as failed:
        resolve(key, GIVEN)
    assert key not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://d.example", "https://d.example/v1"),
        ("https://d.example/", "https://d.example/v1"),
        ("https://d.example/v1", "https://d.example/v1"),
        ("https://d.example/v1/", "https://d.example/v1"),
        ("https://d.example:8443/v1", "https://d.example:8443/v1"),
        ("http://localhost:1", "http://localhost:1/v1"),
        ("http://LOCALHOST:1", "http://LOCALHOST:1/v1"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80/v1"),
        ("http://127.255.0.9", "http://127.255.0.9/v1"),
        ("http://[::1]:9", "http://[::1]:9/v1"),
    ],
)
def test_a_deployments_url_has_v1(url, base):
    assert check_url(url) == ("deployment", base, base)


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "d.example", "//d.example", "/v1", "ftp://d.example", "file:///etc/passwd",
        "https://", "https:///v1", "https://d.example/api", "https://d.example/v1/functions",
        "https://d.example/v2", "https://d.example//", "https://d.example/v1//",
        "https://d.example?x=1", "https://d.example?", "https://d.example#", "https://d.example/#a",
        "https://user@d.example", "https://user:pass@d.example", "https://@d.example",
        "https://.", "https://d..example",
        "https://d.example:port", "https://d.example:70000", "https://d .example",
        "https://d.example\\@evil", "https://d.example\n", "https://[::1", "https://d.example\x7f",
    ],
)  # fmt: skip
def test_what_is_no_deployments_url_is_refused(url):
    with pytest.raises(SutroConfigurationError):
        check_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "d.example", "localhost.example", "x.localhost", "127.0.0.1.example", "10.0.0.1",
        "0.0.0.0", "127.1", "2130706433", "[::]", "[fe80::1]", "localhost.", "xn--localhost-",
    ],
)  # fmt: skip
@pytest.mark.parametrize("generation", ["auto", "deployment", "hosted"])
def test_http_is_for_loopback_only(host, generation):
    with pytest.raises(SutroConfigurationError, match="https"):
        check_url(f"http://{host}", generation)


@pytest.mark.parametrize(
    "host",
    [
        "api.sutro.sh", "serve.sutro.sh", "API.SUTRO.SH", "api.sutro.sh.", "api.sutro.sh..",
        "%61pi.sutro.sh", "\uff41pi.sutro.sh", "api\u3002sutro.sh",
    ],
)  # fmt: skip
def test_the_central_hosts_are_the_hosted_generation_in_any_spelling(host):
    expected = ("hosted", "https://api.sutro.sh", "https://serve.sutro.sh")
    assert check_url(f"https://{host}") == expected
    assert check_url(f"https://{host}/", "hosted") == expected
    with pytest.raises(SutroConfigurationError, match="not a deployment"):
        check_url(f"https://{host}", "deployment")


def test_a_central_hosts_subdomain_keeps_its_name():
    expected = ("hosted", "https://eu.api.sutro.sh", "https://eu.serve.sutro.sh")
    assert check_url("https://eu.serve.sutro.sh") == expected


def test_a_host_that_only_looks_central_is_a_deployment():
    assert check_url("https://notapi.sutro.sh.example")[0] == "deployment"
    assert check_url("https://xapi.sutro.sh")[0] == "deployment"


@pytest.mark.parametrize(
    "host",
    [
        "api.materialized.dev", "x.api.materialized.dev", "API.materialized.dev.",
        "you--tensor-factory-fastapi-app.modal.run",
    ],
)  # fmt: skip
@pytest.mark.parametrize("generation", ["auto", "deployment", "hosted"])
def test_retired_addresses_are_refused_with_advice(host, generation):
    with pytest.raises(SutroConfigurationError, match="own deployment"):
        check_url(f"https://{host}", generation)


def test_the_hosted_generation_has_no_path():
    assert check_url("http://localhost:1", "hosted") == (
        "hosted",
        "http://localhost:1",
        "http://localhost:1",
    )
    with pytest.raises(SutroConfigurationError, match="no path"):
        check_url("https://d.example/v1", "hosted")


def test_a_generation_that_nobody_knows_is_refused():
    with pytest.raises(SutroConfigurationError, match="generation"):
        resolve("k", GIVEN, "newest")


@given(
    url=st.text(max_size=40) | st.text("htps:/.@?#[]%1:v\\", max_size=30).map("https://d".__add__)
)
def test_any_text_is_a_safe_url_or_a_configuration_error(url):
    try:
        _, batch, run = check_url(url)
    except SutroConfigurationError:
        return
    for base in (batch, run):
        assert base.startswith(("https://", "http://l", "http://L", "http://127.", "http://["))
        assert not set(base) & set("?#@\\ ")


@pytest.mark.parametrize("host", ["xn--a", "\uff11\uff12\uff17.0.0.1"])
def test_a_host_that_httpx_cannot_call_is_a_configuration_error(host):
    with pytest.raises(SutroConfigurationError):
        Session(resolve("k", f"https://{host}"))


LABEL = "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?"
NAMES = st.from_regex(rf"{LABEL}(\.[a-z][a-z0-9]{{0,8}}){{1,3}}", fullmatch=True)


@given(
    host=NAMES.filter(lambda name: "xn--" not in name)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    port=st.none() | st.integers(1, 65535),
)
def test_the_key_goes_to_the_host_that_was_named(host, port):
    netloc = host if port is None else f"{host}:{port}"
    settings = Settings(*check_url(f"https://{netloc}"), api_key=SecretStr("k"))
    sent = httpx.URL(settings.batch_url)
    assert (sent.scheme, sent.host) == ("https", host.strip("[]"))
    assert sent.port == (None if port == 443 else port)


def test_nothing_is_read_at_import(tmp_path):
    (tmp_path / ".sutro").mkdir()
    (tmp_path / ".sutro" / "config.json").write_text("damaged")
    program = (
        "import langchain_sutro; "
        "from langchain_sutro import SutroClient, SutroFunction; SutroFunction('judge')"
    )
    environment = {"HOME": str(tmp_path), "SUTRO_API_URL": "not a URL", "PATH": ""}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=root)
