"""docs/rules.md says what the parser does.

To renew the table of indicators after a change of the catalogue: `python -m tests.domain.rules.test_docs`.
"""

import json
import re
from pathlib import Path

import pytest

from domain.definitions import check_definition
from domain.rules.calls import usage
from domain.rules.catalogue import CATALOGUE, IndicatorSpec
from domain.rules.errors import RuleError
from domain.rules.parse import parse_expression, parse_rule
from domain.rules.risk import parse_risk_phrase

DOC = Path(__file__).parents[3] / "docs" / "rules.md"
TEXT = DOC.read_text("utf-8")
BETWEEN = re.compile(r"(<!-- indicators: .*? -->\n).*?(<!-- end of indicators -->)", re.DOTALL)


def row(spec: IndicatorSpec) -> str:
    lines = ", ".join(
        f"**{line}**" if line == (spec.default_line or spec.lines[0]) else line for line in spec.lines
    )
    least = ", ".join(f"{each.name} from {each.minimum:g}" for each in spec.arguments)
    of = "a series" if spec.one_series else ", ".join(spec.columns)
    names = f"{spec.title} ({', '.join(spec.aliases)})" if spec.aliases else spec.title
    meaning = f"; {spec.meaning}" if spec.meaning and spec.talib is None else ""
    return f"| `{usage(spec)}` | {names}{meaning} | {of} | {lines if len(spec.lines) > 1 else ''} | {least} |"


def table() -> str:
    head = "| call, with defaults | what it is (other names) | of | lines (**default**) | bounds |\n"
    head += "| --- | --- | --- | --- | --- |\n"
    return head + "\n".join(row(spec) for spec in CATALOGUE.values()) + "\n"


def section(title: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    after = TEXT.split(f"## {title}\n", 1)[1]
    found = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert found
    rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in found[0].splitlines()]
    return rows[2:]


def test_every_indicator_is_listed_with_its_arguments() -> None:
    found = BETWEEN.search(TEXT)
    assert found
    assert found[0].split("\n", 1)[1].removesuffix("<!-- end of indicators -->") == table()


@pytest.mark.parametrize("cells", section("Plain English"), ids=lambda cells: cells[0][:40])
def test_english_in_the_table_means_the_formal_rule(cells: list[str]) -> None:
    english, formal = cells[0].split(";")[0], cells[1].strip("`").split("`;")[0]
    assert parse_rule(english) == parse_rule(formal)


@pytest.mark.parametrize("cells", section("Formal rules"), ids=lambda cells: cells[0])
def test_formal_examples_are_read(cells: list[str]) -> None:
    indicators = {"bands": parse_expression("BBANDS")}
    examples = [
        text for text in re.findall(r"`([^`]+)`", cells[1]) if re.search(r"\w", text) and text != "price"
    ]
    assert examples
    for text in examples:
        if text in ("not", "and", "or"):
            continue
        if any(word in text for word in ("<", ">", "crosses")):
            parse_rule(text, parameters={"trend": 5})
        elif not re.fullmatch(r"[\d._e-]+", text):
            parse_expression(text, parameters={"trend": 5}, indicators=indicators)
        else:
            parse_rule(f"Close > {text}")


@pytest.mark.parametrize("cells", section("Stops, targets and size"), ids=lambda cells: cells[0][:40])
def test_sentences_of_risk_are_read_as_said(cells: list[str]) -> None:
    for place, text in enumerate(re.sub(r" \(currency.*?\)", "", cells[0]).split("; ")):
        phrase = str(parse_risk_phrase(text))
        if place == 0:
            said = cells[1].split(";")[0].strip("`").replace('"', "").replace(":", " =")
            assert phrase.split(".", 1)[-1] == said or phrase.endswith(said)


@pytest.mark.parametrize("cells", section("What is refused"), ids=lambda cells: cells[0][:40])
def test_what_is_said_to_be_refused_is(cells: list[str]) -> None:
    examples = re.findall(r"`([^`]+)`", cells[0])
    assert examples or cells[0].startswith("more than"), "sizes are tested with the properties"
    for text in examples:
        number = re.fullmatch(r"[\w()\[\], ./-]+", text) and " is " not in text and " touches " not in text
        rule = (
            f"{text} > 5"
            if number and text != "RSI(14)"
            else f"Close {text} 5" if text in ("&&", "≥") else text
        )
        with pytest.raises(RuleError):
            parse_rule(rule, parameters={"fast": 5, "slow": 6, "n": 1})


def test_the_example_is_a_good_definition() -> None:
    example = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert example
    assert len(check_definition(json.loads(example[1])).notes) == 1


def test_the_refusal_shown_is_the_one_given() -> None:
    with pytest.raises(RuleError) as refused:
        parse_rule("Close > 5 and RIS(14) < 30", path="entry_rules[0]")
    assert f"```\n{refused.value}\n```" in TEXT


if __name__ == "__main__":
    DOC.write_text(BETWEEN.sub(lambda found: found[1] + table() + found[2], TEXT), "utf-8")
