"""The corpora of code: honest strategies, hostile ones, and answers that are no module.

A hostile file begins with `# technique:`, `# expect:` (the rule that it is about, then others that may be found as
well) and `# ends:` (how a trial of it ends where the policy is off: 'trades', or the error's types). A malformed file
begins with `# expect:`. These lines are no part of the code.
"""

from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "data" / "code"


@dataclass(frozen=True)
class Example:
    name: str
    code: str
    rules: tuple[str, ...]
    technique: str = ""
    ends: tuple[str, ...] = ()


def read_example(path: Path) -> Example:
    code = path.read_bytes().decode("utf-8")
    told: dict[str, str] = {}
    for key in ("technique", "expect", "ends"):
        if code.startswith(f"# {key}: "):
            line, _, code = code.partition("\n")
            told[key] = line.removeprefix(f"# {key}: ").strip()
    return Example(
        name=path.stem,
        code=code,
        rules=tuple(told["expect"].split()),
        technique=told.get("technique", ""),
        ends=tuple(told.get("ends", "").split()),
    )


HONEST = sorted((CORPUS / "honest").glob("*.py"))
HOSTILE = [read_example(path) for path in sorted((CORPUS / "hostile").glob("*.py"))]
MALFORMED = [read_example(path) for path in sorted((CORPUS / "malformed").glob("*.py"))]
