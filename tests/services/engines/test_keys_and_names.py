"""What an engine is called, the key it needs, and where neither may be seen."""

import base64
import json
import logging
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from services.artifacts import Artifacts
from services.calls import Calls, NoPurse
from services.engines import EngineBusy, EngineError, Engines, ModelOptions, OfflineEngine, model_makers
from services.engines.faults import scrubbed
from services.engines.providers import connection
from tests.services.engines.asked import KEY, ORDER, served, told
from tests.services.engines.code import generated, module
from tests.support.canary import Canary
from tests.support.openai_server import Handler, Reply, fails, openai_server, says
from tests.support.site import ROOT

GOOD = generated(module())


def test_the_key_is_in_no_log_and_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with openai_server(fails(401, f"wrong: {KEY}"), says(GOOD)) as server:
        with pytest.raises(EngineError):
            served(tmp_path, server.url).generate(ORDER)
        engine = served(tmp_path, server.url)
        engine.generate(ORDER)
        assert KEY not in repr(engine)
    assert KEY not in caplog.text
    assert KEY not in repr(connection("openai:x", {"OPENAI_API_KEY": KEY}.get, ModelOptions()))
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def _echoed(status: int) -> Reply:
    """A server that hands back what it was sent: as its message, as its code, and encoded."""

    def reply(handler: Handler) -> None:
        key = handler.headers["Authorization"].removeprefix("Bearer ")
        encoded = base64.b64encode(f"Bearer {key}".encode()).decode()
        quoted = urllib.parse.quote(key, safe="")
        words = f"Authorization: Bearer {key}; {key}; {encoded}; {quoted}; {key.encode().hex()}"
        fails(status, words, code=key, kind=encoded)(handler)

    return reply


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("key", ["sk-canary-7f3a9b2c51d8e604", 'Kanari/51d8e604"+?\\x'])
def test_a_server_that_echoes_the_key(tmp_path: Path, status: int, key: str) -> None:
    with openai_server(_echoed(status)) as server:
        makers = model_makers(
            ModelOptions(url=server.url), Calls(Artifacts(tmp_path)), {"GENESIS_MODEL_KEY": key}.get
        )
        with pytest.raises((EngineError, EngineBusy)) as caught:
            Engines([], makers).get("openai:small", lambda: None, NoPurse()).generate(ORDER)
        assert f"Bearer {key}" in server.headers[0].values()
    assert Canary(key).in_bytes("the error", told(caught.value)) == []
    assert Canary(key).in_folder(tmp_path) == []


@pytest.mark.parametrize(
    "shown",
    [
        "Authorization: Bearer another-key",
        '{"Authorization": "Bearer another-key"}',
        "authorization=Basic another-key",
        "x-api-key: another-key",
        "the bearer another-key",
    ],
)
def test_a_credential_that_isn_t_ours_is_not_passed_on_either(shown: str) -> None:
    to = connection("openai:x", {"OPENAI_API_KEY": KEY}.get, ModelOptions())
    told_on = scrubbed(f"refused: {shown} wasn't taken", to)
    assert "another-key" not in told_on
    assert told_on.startswith("refused: ")
    assert told_on.endswith(" *** wasn't taken")


@pytest.mark.parametrize("key", [KEY, 'Kanari/51d8e604"+?\\x'])
def test_a_key_that_is_answered_isn_t_kept(tmp_path: Path, key: str) -> None:
    code = module() + f"\n# {json.dumps(key)} {base64.b64encode(key.encode()).decode()}\n"
    with openai_server(says(generated(code))) as server:
        options = ModelOptions(url=server.url)
        makers = model_makers(options, Calls(Artifacts(tmp_path)), {"GENESIS_MODEL_KEY": key}.get)
        made = Engines([], makers).get("openai:small", lambda: None, NoPurse()).generate(ORDER)
    assert "[secret GENESIS_MODEL_KEY]" in made.code
    assert Canary(key).in_bytes("code", made.model_dump_json()) == []
    assert Canary(key).in_folder(tmp_path) == []


def test_a_key_that_is_a_word_changes_no_answer(tmp_path: Path) -> None:
    with openai_server(says(GOOD)) as server:
        makers = model_makers(
            ModelOptions(url=server.url), Calls(Artifacts(tmp_path)), {"GENESIS_MODEL_KEY": "price"}.get
        )
        made = Engines([], makers).get("openai:small", lambda: None, NoPurse()).generate(ORDER)
    assert made.code.strip() == module().strip()


def test_openai_s_key_isn_t_shown_to_another_server(tmp_path: Path) -> None:
    with openai_server(says(GOOD)) as server:
        served(tmp_path, server.url, key_name="OPENAI_API_KEY").generate(ORDER)
        assert KEY not in str(server.headers)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("openai:gpt-5", "OPENAI_API_KEY"),
        ("anthropic:claude-sonnet-4-6", "ANTHROPIC_API_KEY"),
        ("google:gemini-2.5-pro", "GOOGLE_API_KEY or GEMINI_API_KEY"),
    ],
)
def test_without_a_key_the_error_names_the_setting(tmp_path: Path, name: str, settings: str) -> None:
    wanted = f"the engine {name} needs a key: set {settings}, or keep it: .* the engine 'offline' needs none"
    with pytest.raises(EngineError, match=wanted):
        served(tmp_path, name=name, key_name="OTHER", options=ModelOptions())


@pytest.mark.parametrize("key", ["sk-ü", "a b", "a\nb"])
def test_a_key_that_can_be_none_is_not_sent_and_not_shown(key: str) -> None:
    with pytest.raises(EngineError, match="ANTHROPIC_API_KEY holds signs that no key has") as caught:
        connection("anthropic:x", {"ANTHROPIC_API_KEY": key}.get, ModelOptions())
    assert key not in str(caught.value)


def test_a_password_in_the_server_s_url_is_not_shown(tmp_path: Path) -> None:
    with openai_server(fails(404)) as server:
        url = server.url.replace("http://", "http://user:hunter2@")
        with pytest.raises(EngineError, match=r"no such model at http://127\.0\.0\.1") as caught:
            served(tmp_path, url).generate(ORDER)
        assert "hunter2" not in told(caught.value)


# -- names


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("opnai:gpt-5", "did you mean openai:gpt-5?"),
        ("offlin", "did you mean offline?"),
        ("openai", "did you mean openai:…?"),
        ("mistral:large", "this worker has: anthropic:…, google:…, offline, openai:…"),
        ("", "there is no engine ''"),
    ],
)
def test_a_name_that_is_none(tmp_path: Path, name: str, wanted: str) -> None:
    makers = model_makers(ModelOptions(), Calls(Artifacts(tmp_path)), lambda _: None)
    with pytest.raises(EngineError) as caught:
        Engines([OfflineEngine()], makers).get(name)
    assert wanted in str(caught.value)


@pytest.mark.parametrize("name", ["openai:", "google: ", "anthropic:a\nb"])
def test_a_name_without_a_model(tmp_path: Path, name: str) -> None:
    makers = model_makers(ModelOptions(), Calls(Artifacts(tmp_path)), lambda _: KEY)
    with pytest.raises(EngineError, match="names no model; write for example"):
        Engines([], makers).get(name)


def test_without_the_packages_the_error_says_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['pydantic_ai'] = None\n"
        "from pathlib import Path\n"
        "from services.artifacts import Artifacts\nfrom services.calls import Calls\n"
        "from services.engines import EngineError, Engines, ModelOptions, OfflineEngine, model_makers\n"
        "makers = model_makers(ModelOptions(), Calls(Artifacts(Path('x'))), lambda _: 'key')\n"
        "assert Engines([OfflineEngine()], makers).get('offline').name == 'offline'\n"
        "try:\n    Engines([], makers).get('openai:gpt-5')\n"
        "except EngineError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "pip install 'genesis-experiments[models]'" in done.stdout
    assert "the engine 'offline' needs none" in done.stdout


def test_no_model_s_package_is_loaded_before_one_is_asked_for() -> None:
    script = (
        "import sys, services.authoring, activities.authoring\n"
        "print([name for name in ('pydantic_ai', 'openai', 'anthropic', 'genai_prices') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
