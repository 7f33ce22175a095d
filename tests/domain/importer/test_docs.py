"""The example in docs/import.md does what the page says."""

import json
import re
from pathlib import Path

from domain.importer import import_steps

PAGE = (Path(__file__).parents[3] / "docs" / "import.md").read_text(encoding="utf-8")


def test_the_example() -> None:
    before, after = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    result = import_steps(before, source="example.json")
    assert result.definition
    assert {key: result.draft[key] for key in after} == after
    assert set(result.draft) - set(after) == {"version", "description", "notes"}
    assert [entry.text for entry in result.not_understood] == ["Close half at 20 pips."]
    said = " ".join(result.assumptions)
    for words in (
        "is 'cancel', but the text of the step says stop loss, take profit",
        "read as long",
        "the interval is 1d",
    ):
        assert words in said
        assert words.split(",")[0] in " ".join(PAGE.replace("`", "").split())
