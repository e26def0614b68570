"""Our verbs beside the installed SDK's: the same parameters, but for deliberate differences."""

import inspect
import json
import os
import subprocess
from pathlib import Path

import pytest

import langchain_sutro
from langchain_sutro import SutroClient
from tests.support.environments import ROOT

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900)]

# A default that is ours: (verb, parameter) -> it.
OTHER_DEFAULTS = {
    ("try_authentication", "api_key"): None,  # the client's own key
}
# What only we have, by name alone and at the end: verb -> parameters.
FURTHER = {
    "await_job_completion": {"unpack_json"},
    "batch_run_function": {"fields"},
}
# What is not there, and what serves instead, as docs/from-the-sdk.md says.
ABSENT = {
    "do_request": "the verbs",
    "fancy_tqdm": "attach, progress=True",
    "set_api_key": "SutroClient(api_key=...)",
    "set_api_url": "SutroClient(api_url=...)",
    "set_base_url": "SutroClient(api_url=...)",
    "set_serving_base_url": "SutroClient(api_url=...)",
    **dict.fromkeys(
        ("classify", "elo", "embed", "infer", "infer_per_model", "rank", "score"),
        "published Functions only",
    ),
}


@pytest.fixture(scope="module")
def theirs(sdk_67, tmp_path_factory):
    """The SDK's verbs: name -> (parameter, kind, whether it has a default, the default)."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [str(sdk_67), str(Path(__file__).with_name("signatures_driver.py"))],
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def ours(verb):
    """The three forms of a verb, without `self`."""
    for function in (
        getattr(langchain_sutro, verb),
        getattr(SutroClient, verb),
        getattr(SutroClient, f"a{verb}"),
    ):
        parameters = dict(inspect.signature(function).parameters)
        parameters.pop("self", None)
        yield parameters


def test_each_verb_takes_what_the_sdks_takes_in_the_same_order(theirs):
    compared = 0
    for verb, parameters in theirs.items():
        if verb in ABSENT:
            assert not hasattr(langchain_sutro, verb)
            continue
        for form in ours(verb):
            further = FURTHER.get(verb, set())
            assert [*form] == [*(name for name, *_ in parameters), *further], verb
            assert all(form[name].kind is inspect.Parameter.KEYWORD_ONLY for name in further)
            for name, kind, *default in parameters:
                own = form[name]
                if verb != "batch_run_function" or name != "data":
                    assert own.kind.name == kind, (verb, name)
                wanted = default[1] if default[0] else inspect.Parameter.empty
                wanted = OTHER_DEFAULTS.get((verb, name), wanted)
                assert own.default == wanted, (verb, name)
            compared += 1
    assert compared == 3 * 12


def test_the_differences_are_there_and_in_the_docs(theirs):
    page = (ROOT / "docs" / "from-the-sdk.md").read_text()
    assert ABSENT.keys() <= theirs.keys()
    for verb in theirs:
        assert f"`{verb}" in page or f"`so.{verb}" in page, verb
    for verb, parameter in OTHER_DEFAULTS:
        assert f"`{verb}" in page or f"`so.{verb}" in page
        assert parameter in page
    for names in FURTHER.values():
        assert all(f"`{name}" in page for name in names)
