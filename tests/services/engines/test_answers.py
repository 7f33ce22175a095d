"""The code in an answer, whatever the answer looks like."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.code_policy import READING, check_code
from schemas.models import Answer
from services.engines.answers import Found, NoCode, begun_line, find_code, join
from tests.services.engines.code import fixed, generated, module

CODE = module()
HALF = CODE[: len(CODE) // 2]


def is_module(code: str) -> bool:
    """As the engine has it, without the child process."""
    return not {finding.rule for finding in check_code(code)} & {"entrypoint", *READING}


def rank(code: str) -> int:
    rules = {finding.rule for finding in check_code(code)}
    return 1 if "cut_off" in rules else 0 if rules & set(READING) else 2


def answer(text: str = "", *, finish: str | None = "stop", arguments: str | None = None) -> Answer:
    return Answer(text=text, arguments=arguments, finish=finish, model="m")


def found(text: str = "", **more: str | None) -> Found:
    result = find_code(answer(text, **more), is_module)
    assert isinstance(result, Found), result
    return result


FENCE = "```"
IMPORTS, BODY = CODE.split("\n\n\n", 1)
WITH_FENCE = CODE.replace("oversold territory", f"oversold territory:\n{FENCE}\nRSI < 30\n{FENCE}\n   ")
WITH = '{"code": "CODE", "entrypoint": "RSI_Reversal"}'
DOC = CODE[CODE.index('"""') : CODE.rindex('"""') + 3]
CASES = {
    "json": generated(CODE),
    "json of a repair": fixed(CODE),
    "json in prose": f"Sure! Here is the strategy {{as asked}}:\n\n{generated(CODE)}\n\nHope it helps.",
    "json in a fence": f"Here:\n{FENCE}json\n{generated(CODE)}\n{FENCE}\nDone.",
    "json in an open fence": f"Here:\n{FENCE}json\n{generated(CODE)}",
    "json, indented": json.dumps(json.loads(generated(CODE)), indent=2),
    "json in a wrapper": json.dumps({"name": "generated_code", "arguments": json.loads(generated(CODE))}),
    "json as a text in a wrapper": json.dumps({"function": {"arguments": generated(CODE)}}),
    "json in a list": f"[{generated(CODE)}]",
    "fences within json": generated(f"{FENCE}python\n{CODE}{FENCE}"),
    "json with bare line breaks": WITH.replace("CODE", CODE.replace('"', '\\"')),
    "json with bare quotes": WITH.replace("CODE", CODE.replace("\n", "\\n")),
    "three quotes": WITH.replace('"CODE"', f'"""{CODE}"""'.replace(DOC, DOC.replace('"', "'"))),
    "escaped twice": json.dumps({"code": json.dumps(CODE)[1:-1]}),
    "code after json was closed too early": f'{{"note": "see below"}}\n{FENCE}python\n{CODE}{FENCE}',
    "a fence": f"The strategy:\n\n{FENCE}python\n{CODE}{FENCE}\n\nIt buys when RSI turns up.",
    "a fence with a title": f'{FENCE}python title="strategy.py"\n{CODE}{FENCE}',
    "an indented fence": f"1. The code:\n   {FENCE}python\n{CODE}   {FENCE}",
    "a fence of tildes": f"~~~\n{CODE}~~~",
    "a longer fence": f"{FENCE}`python\n{CODE}{FENCE}`",
    "an open fence": f"The strategy:\n{FENCE}python\n{CODE}",
    "no fence": CODE,
    "no fence, prose before": f"Here is your strategy.\n\n{CODE}",
    "no fence, prose around": f"Here is your strategy.\n\n{CODE}\nThis buys low.\nLet me know if you need more!",
    "commands before": f"{FENCE}bash\npip install backtesting\n{FENCE}\n{FENCE}python\n{CODE}{FENCE}",
    "a use after": f"{FENCE}python\n{CODE}{FENCE}\nRun:\n{FENCE}python\nprint(1)\n{FENCE}",
    "wrong and then right": f"First:\n{FENCE}python\nclass X(\n{FENCE}\nRather:\n{FENCE}python\n{CODE}{FENCE}",
    "two parts": f"{FENCE}python\n{IMPORTS}\n{FENCE}\nand\n{FENCE}python\n{BODY}{FENCE}",
    "thinking": f"<think>{FENCE}python\nclass No(Strategy): pass\n{FENCE}</think>\n{generated(CODE)}",
    "thinking, unopened": f"I could write x = {{}}.\n</think>\n{FENCE}python\n{CODE}{FENCE}",
    "thinking twice": f"<think>a</think><think>b</think>{CODE}",
    "thinking with another name": f"<reasoning>hm</reasoning>\n\n{generated(CODE)}",
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_the_whole_module_is_found(text: str) -> None:
    result = found(text)
    assert is_module(result.code)
    wanted = CODE.replace('"""', "'''") if "'''" in result.code else CODE
    assert "\n".join(filter(None, result.code.splitlines())) == "\n".join(filter(None, wanted.splitlines()))
    assert not result.cut_off


def test_fences_in_the_code_s_own_texts_stay() -> None:
    result = found(f"Here:\n{FENCE}python\n{WITH_FENCE}{FENCE}\nDone.")
    assert result.code == WITH_FENCE


def test_a_tag_in_the_code_is_code() -> None:
    code = CODE.replace("    def init", '    tag = "<think>not a thought</think>"\n\n    def init')
    assert found(code).code == code
    assert found(generated(code)).code == code


def test_of_several_modules_the_last_is_taken() -> None:
    first = CODE.replace("oversold = 35", "oversold = 20")
    assert found(f"Before:\n{FENCE}python\n{first}{FENCE}\nAfter:\n{FENCE}python\n{CODE}{FENCE}").code == CODE


def test_a_tool_s_arguments_come_before_the_text() -> None:
    result = found("I call the tool.", arguments=generated(CODE), finish="tool_call")
    assert (result.code, result.fields["entrypoint"]) == (CODE, "RSI_Reversal")


@pytest.mark.parametrize("arguments", ['{"entrypoint": "RSI_Reversal"}', "buy low"])
def test_a_tool_s_arguments_without_code_are_not_empty(arguments: str) -> None:
    result = find_code(answer(arguments=arguments), is_module)
    assert result == NoCode("it held no code")


def test_code_without_fences_begins_at_its_own_line_though_prose_names_it() -> None:
    prose = f"Its first line, {CODE.splitlines()[0]}, is long.\n\n"
    assert found(prose + HALF, finish="length").code == HALF


def test_the_other_fields_come_along() -> None:
    text = generated(CODE, dependencies=["TA-Lib"], metadata={"idea": "mean reversion"})
    assert found(text).fields["dependencies"] == ["TA-Lib"]
    loose = WITH.replace("CODE", CODE.replace("\n", "\\n")).replace('"RSI_Reversal"', '"Other"')
    assert found(loose).fields["entrypoint"] == "Other"


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        (generated(CODE)[: len(CODE) // 2], "length"),
        (generated(CODE)[: len(CODE) // 2], "stop"),
        (f"Here:\n{FENCE}json\n{generated(CODE)[: len(CODE) // 2]}", "length"),
        (f"Here:\n{FENCE}python\n{HALF}", "length"),
        (HALF, "length"),
    ],
)
def test_an_answer_that_ends_within_its_code_is_known_to_be_cut_off(text: str, finish: str) -> None:
    result = found(text, finish=finish)
    assert result.cut_off
    assert CODE.startswith(result.code.rstrip("\n"))
    assert len(result.code) > 300


def test_an_answer_that_ends_after_its_code_is_not_cut_off() -> None:
    whole = generated(CODE)
    end = whole.index('", "entrypoint"') + 3
    assert not found(whole[:end], finish="length").cut_off
    assert not found(f"{FENCE}python\n{CODE}{FENCE}\nIt buys wh", finish="length").cut_off


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it was empty"),
        ("  \n\t\n", "it was empty"),
        ("<think>Let me see. The RSI", "still thinking"),
        ("The strategy buys when RSI crosses 30.", "no code"),
        ('{"answer": "I would buy low"}', "no code"),
        ('{"code": ""}', "no code"),
        ('{"code": 7}', "no code"),
        ("{" * 2000, "no code"),
        ("[" * 100_000, "no code"),
        ('{"' * 3000, "no code"),
        (f"{FENCE}\n{FENCE}", "no code"),
        ("\ud7ff\u0000\u202e", "no code"),
        ("<think>" * 100_000, "still thinking"),
        ("<think></think>" * 60_000, "it was empty"),
        ("a</think>" * 100_000, "it was empty"),
        ("a\n" + "<think>" * 100_000, "no code"),
        ("```\n" * 200_000, "no code"),
        ('{"a": [' * 50_000, "no code"),
        (" " * 900_000, "it was empty"),
        ("def " * 200_000, "no code"),
    ],
)
def test_an_answer_without_code_says_why(text: str, reason: str) -> None:
    result = find_code(answer(text), is_module)
    assert isinstance(result, NoCode)
    assert reason in result.reason
    assert not result.refused


@pytest.mark.parametrize("text", ['{"code": "' * 50_000, '"code": ""' * 50_000, f"{FENCE}python\n" * 100_000])
def test_what_looks_like_code_without_end_is_read_in_no_time_and_is_no_module(text: str) -> None:
    result = find_code(answer(text), is_module)
    assert isinstance(result, NoCode) or not is_module(result.code)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with trading.",
        "Sorry, no.",
        "I won’t do it.",
    ],
)
def test_a_refusal_is_one(text: str) -> None:
    result = find_code(answer(text), is_module)
    assert result == NoCode(text, refused=True)


def test_an_apology_before_code_is_no_refusal() -> None:
    assert found(f"I'm sorry for the mistake. Here:\n{FENCE}python\n{CODE}{FENCE}").code == CODE


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_has_an_answer(text: str) -> None:
    result = find_code(answer(text), is_module)
    assert isinstance(result, Found | NoCode)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_cut_never_passes_for_a_whole_module_unless_it_is_one(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([generated(CODE), f"{FENCE}python\n{CODE}{FENCE}", CODE]))
    end = data.draw(st.integers(1, len(text) - 1))
    result = find_code(answer(text[:end], finish="length"), is_module)
    assert isinstance(result, NoCode) or result.cut_off or result.code.strip() == CODE.strip()


# -- going on


LINES = CODE.splitlines(keepends=True)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(300, len(CODE) - 20), st.sampled_from(["line", "middle", "overlap", "anew", "fence", "json"])
)
def test_parts_are_joined_however_the_model_goes_on(cut: int, how: str) -> None:
    part = CODE[:cut]
    head, begun = begun_line(part)
    line = CODE[len(head) :]
    rest = {
        "line": line,
        "middle": CODE[cut:],
        "overlap": "".join(head.splitlines(keepends=True)[-4:]) + line,
        "anew": CODE,
        "fence": f"{FENCE}python\n{line}{FENCE}\nThat is all.",
        "json": json.dumps({"code": line}),
    }[how]
    if how == "middle" and not (begun.strip() and CODE[cut:].split("\n")[0].strip()):
        rest = line  # nothing of the line is written, or left: nobody could tell where its middle is
    joined = join(part, answer(rest), rank)
    assert is_module(joined)
    assert "\n".join(filter(None, joined.splitlines())) == "\n".join(filter(None, CODE.splitlines())), (
        part[-60:],
        rest,
    )


def test_an_empty_continuation_leaves_the_part_as_it_is() -> None:
    assert join(HALF, answer("  "), rank) == HALF
