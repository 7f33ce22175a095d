"""Code may read the secrets that its definition asks for from the environment, and nothing else of `os`."""

import pytest

from domain.code_policy import check_code
from schemas.code import Finding, Severity
from services.code_reading import check_code as check_in_a_child
from tests.domain.code_corpus import HONEST, HOSTILE

GOOD = HONEST[[path.stem for path in HONEST].index("plain_rsi")].read_text()
IMPORT = "from os import environ\n"
NAMES = ["DATA_KEY", "OTHER_KEY"]


def having(statement: str, imported: str = IMPORT) -> str:
    """An honest module that imports the environment, with one more statement in `next`."""
    return imported + GOOD + "\n".join("        " + line for line in statement.split("\n")) + "\n"


def rules(code: str, secrets: list[str] = NAMES) -> list[str]:
    return [finding.rule for finding in check_code(code, secrets=secrets)]


@pytest.mark.parametrize(
    "statement",
    [
        'key = environ["DATA_KEY"]',
        "key = environ['OTHER_KEY'].strip()",
        'key = environ.get("DATA_KEY")',
        'key = environ.get("DATA_KEY", "")',
        'if environ.get("DATA_KEY") is None:\n    return',
        'key = environ["DATA_" "KEY"]',
        "text = f\"{environ['DATA_KEY']:.2}\"",
        "def helper(key=environ['DATA_KEY']):\n    '''Reads environ.'''\n    return key",
        'environment = "the environment"',
        "pass",
    ],
)
def test_its_own_secrets_may_be_read(statement: str) -> None:
    assert rules(having(statement)) == []
    assert check_in_a_child(having(statement), None, NAMES) == []
    assert "import" in rules(having(statement), []), "without secrets, as before"


@pytest.mark.parametrize(
    "statement",
    [
        'key = environ["HOME"]',
        'key = environ["data_key"]',
        'key = environ.get("PATH")',
        'key = environ.get("PATH", environ["DATA_KEY"])',
        'name = "DATA_KEY"\nkey = environ[name]',
        'key = environ["DATA" + "_KEY"]',
        'key = environ[f"DATA_KEY"]',
        'key = environ.get(*["PATH"])',
        'key = environ.get(key="PATH")',
        'key = environ.get("DATA_KEY", default=environ)',
        "key = environ.get()",
        'key = environ[b"DATA_KEY"]',
        "key = environ[:]",
        'key = environ["DATA_KEY", "HOME"]',
        "print(environ)",
        'text = f"{environ}"',
        "everything = environ",
        "(everything := environ)",
        "everything = [environ]",
        "everything = {**environ}",
        "def helper(all=environ):\n    return all",
        "def helper():\n    return environ",
        "def helper():\n    yield from environ",
        "helper = lambda: environ",
        "for name in environ:\n    print(name)",
        "names = [name for name in environ]",
        "names = [*environ]",
        'found = "DATA_KEY" in environ',
        "found = environ == {}",
        "match environ:\n    case {'DATA_KEY': key}:\n        print(key)",
        "read = environ.get",
        "read = environ.items()",
        'key = environ.pop("DATA_KEY")',
        'key = environ.setdefault("DATA_KEY", "")',
        "key = environ.copy()",
        'key = environ._data["DATA_KEY"]',
        "key = environ.get.im_self",
        'environ["DATA_KEY"] = "x"',
        'environ["DATA_KEY"] += "x"',
        'del environ["DATA_KEY"]',
        "del environ",
        "environ = {}",
        'environ.other = "x"',
        'environ |= {"A": "b"}',
        'read = getattr(environ, "get")',
        'setattr(environ, "x", 1)',
        'key = self.data.df.eval("environ")',
        "def helper(x: 'environ[\"HOME\"]'):\n    return x",
        "text = '{environ}'",
        "with environ as everything:\n    pass",
        "@environ.get\ndef helper():\n    pass",
        "class Helper(environ):\n    pass",
    ],
)
def test_no_misuse_passes(statement: str) -> None:
    findings = check_code(having(statement), secrets=NAMES)
    assert "environment" in {finding.rule for finding in findings}
    assert not {"syntax", "indentation"} & {finding.rule for finding in findings}
    for finding in findings:
        assert finding.severity is Severity.ERROR
        assert finding.why
        assert finding.instead


@pytest.mark.parametrize(
    "imported",
    [
        "import os\n",
        "import os as environ\n",
        "import os.path\n",
        "from os import *\n",
        "from os import environ as e\n",
        "from os import getenv\n",
        "from os import environ, system\n",
        "from os import environb\n",
        "from os.path import join\n",
        "from .os import environ\n",
        "from posix import environ\n",
        "if True:\n    from os import environ\n",
        "try:\n    from os import environ\nexcept ImportError:\n    pass\n",
        "class Holder:\n    from os import environ\n",
        "def helper():\n    from os import environ\n    return environ\n",
        "from os import environ\nimport os\n",
        "from os import environ\nfrom os import environ as e\n",
        "from os import environ\nfrom numpy import os\n",
    ],
)
def test_nothing_else_is_imported(imported: str) -> None:
    assert set(rules(having("pass", imported))) & {"import", "module_attribute"}


def test_the_finding_says_what_to_write() -> None:
    (finding,) = check_code(having('key = environ["HOME"]'), secrets=["DATA_KEY"])
    assert (finding.rule, finding.line) == ("environment", having("x").count("\n"))
    assert "'HOME'" in finding.message
    assert finding.instead == 'write `from os import environ`, and environ["DATA_KEY"]'
    (finding,) = check_code("import os\n" + GOOD, secrets=NAMES)
    assert (finding.rule, finding.line) == ("import", 1)
    assert 'environ["DATA_KEY"] or environ["OTHER_KEY"]' in finding.instead
    (finding,) = check_code("import os\n" + GOOD)
    assert "environ" not in finding.instead


def _errors(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings if finding.severity is Severity.ERROR}


def test_secrets_change_nothing_for_other_code() -> None:
    for path in HONEST:
        assert check_code(path.read_text(), secrets=NAMES) == check_code(path.read_text())
    for example in HOSTILE:
        found = _errors(check_code(example.code, "Hostile", NAMES))
        assert found, f"{example.name} passes with secrets"
        if "from os import environ" not in example.code:
            assert found == _errors(check_code(example.code, "Hostile"))
