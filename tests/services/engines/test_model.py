"""A model as an engine: asked until its answer can be used, never paid twice."""

import json
from pathlib import Path

import pytest
from pydantic_ai.exceptions import ContentFilterError
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

from services.artifacts import Artifacts
from services.calls import Calls, OverBudget
from services.engines import CannotFix, ModelOptions
from services.engines.asking import Asker
from services.engines.contract import NOT_TAKEN
from services.engines.drafts import MOST_FILES
from services.engines.faults import ContentRefused
from services.engines.model import MOST_ASKS, MOST_PARTS, ModelEngine, UnusableAnswer
from services.engines.prompting import prompt_digest
from services.engines.providers import Connection
from tests.services.engines.asked import KEY, ORDER, Accounts, Played, called, cut, fix_order, playing
from tests.services.engines.code import NAME, fixed, generated, module, wrong_module

CODE = module()


def test_good_code_comes_with_what_it_cost_and_what_was_asked(tmp_path: Path) -> None:
    played = Played(
        [generated(CODE, dependencies=["talib", "numpy>=2", "math"], metadata={"idea": "reversion"})]
    )
    code = playing(tmp_path, played).generate(ORDER)
    assert (code.code, code.entrypoint) == (CODE, NAME)
    assert code.dependencies == ["TA-Lib", "numpy"]
    assert code.metadata == {"idea": "reversion"}
    assert code.prompt == prompt_digest("generate")
    assert code.usage is not None
    assert code.usage.calls == 1
    assert code.usage.input_tokens > 100
    assert code.usage.usd is None  # nobody lists a model called 'test'


def test_pydantic_ai_s_own_test_model_is_asked_for_the_shape(tmp_path: Path) -> None:
    model = TestModel(custom_output_args=json.loads(generated(CODE)))
    to = Connection("openai:test", "openai", "test", KEY, "OPENAI_API_KEY", ModelOptions())
    engine = ModelEngine(Asker(to, lambda: model), Calls(Artifacts(tmp_path)))
    assert engine.generate(ORDER).code == CODE
    asked = model.last_model_request_parameters
    assert asked is not None
    assert [tool.name for tool in asked.output_tools] == ["generated_code"]
    assert set(asked.output_tools[0].parameters_json_schema["required"]) == {
        *("code", "entrypoint", "dependencies", "files", "metadata")
    }


def test_a_tool_s_arguments_are_an_answer(tmp_path: Path) -> None:
    assert playing(tmp_path, Played([called(generated(CODE))])).generate(ORDER).code == CODE


# -- answers that can't be used


def test_an_answer_without_code_is_asked_for_again_with_the_reason(tmp_path: Path) -> None:
    played = Played(["I would buy low.", "", generated(CODE)])
    code = playing(tmp_path, played).generate(ORDER)
    assert code.code == CODE
    assert code.usage is not None
    assert code.usage.calls == 3
    assert "Your answer can't be used: it held no code." in played.told(1)
    assert "Your answer can't be used: it was empty." in played.told(2)
    assert [message.kind for message in played.asked[2]] == ["request", "response"] * 2 + ["request"]


def test_a_model_that_never_gives_code_is_given_up(tmp_path: Path) -> None:
    played = Played(["I would buy low."])
    with pytest.raises(UnusableAnswer, match=f"asked {MOST_ASKS} times and gave no code .* it held no code"):
        playing(tmp_path, played).generate(ORDER)
    assert len(played.asked) == MOST_ASKS


def test_a_refusal_is_not_argued_with(tmp_path: Path) -> None:
    played = Played(["I'm sorry, but I can't help with trading."])
    with pytest.raises(ContentRefused, match="won't answer this: I'm sorry, but I can't help with trading"):
        playing(tmp_path, played).generate(ORDER)
    assert len(played.asked) == 1
    filtered = ModelResponse(parts=[TextPart("")], finish_reason="content_filter")
    with pytest.raises(ContentRefused, match="openai:test won't answer this; reword"):
        playing(tmp_path / "other", Played([filtered])).generate(ORDER)


def test_the_entrypoint_is_the_class_that_is_there(tmp_path: Path) -> None:
    renamed = CODE.replace(f"class {NAME}", "class Mine")
    for folder, entrypoint in (("named", "Mine"), ("unnamed", "Nobody")):
        played = Played([generated(renamed, entrypoint=entrypoint)])
        assert playing(tmp_path / folder, played).generate(ORDER).entrypoint == "Mine"
        assert len(played.asked) == 1


def test_code_without_its_class_is_asked_for_again_and_then_left_to_the_gates(tmp_path: Path) -> None:
    without = "import talib\n\nVALUE = 1\n"
    played = Played([generated(without)])
    code = playing(tmp_path, played).generate(ORDER)
    assert len(played.asked) == MOST_ASKS
    assert f"there is no class '{NAME}'" in played.told(1)
    assert (code.code, code.entrypoint) == (without, NAME)
    assert f"there is no class '{NAME}'" in code.metadata[NOT_TAKEN]
    mended = Played([generated(without), generated(CODE)])
    assert playing(tmp_path / "mended", mended).generate(ORDER).code == CODE


def test_a_dependency_that_isn_t_allowed_is_asked_about_and_never_taken(tmp_path: Path) -> None:
    played = Played([generated(CODE, dependencies=["numpy", "requests", "a b c"])])
    code = playing(tmp_path, played).generate(ORDER)
    assert (
        "the dependency 'requests' isn't allowed; allowed are TA-Lib, backtesting, numpy, pandas"
        in played.told(1)
    )
    assert "the dependency 'a b c' can't be read" in played.told(1)
    assert code.dependencies == ["numpy"]
    assert "'requests' isn't allowed" in code.metadata[NOT_TAKEN]


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("/etc/passwd", "x", "absolute"),
        ("C:\\x.py", "x", "absolute"),
        ("~/x", "x", "absolute"),
        ("../other/strategy.py", "x", "leads out"),
        ("a/../../x", "x", "leads out"),
        ("a\\..\\x", "x", "leads out"),
        (".git/config", "x", "plain path"),
        ("a//b", "x", "plain path"),
        ("", "x", "plain path"),
        ("a/" * 150 + "b", "x", "plain path"),
        ("nul\u0000", "x", "plain path"),
        ("Strategy.py", "x", "made here"),
        ("definition.json", "{}", "made here"),
        ("metrics.json", "{}", "made here"),
        ("strategy.py/x.txt", "x", "made here"),
        ("big.txt", "x" * 100_001, "too long"),
        ("zero.txt", "a\u0000b", "no text file"),
        ("number.txt", 7, "isn't a path with a text"),
    ],
)
def test_a_file_that_may_not_be_is_asked_about_and_never_taken(
    tmp_path: Path, path: str, text: object, why: str
) -> None:
    played = Played([generated(CODE, files={path: text, "notes/readme.txt": "fine"})])
    code = playing(tmp_path, played).generate(ORDER)
    assert code.files == {"notes/readme.txt": "fine"}
    assert why in played.told(1)
    assert why in code.metadata[NOT_TAKEN]


@pytest.mark.parametrize("paths", [("notes", "notes/a.txt"), ("notes/a.txt", "notes")])
def test_of_two_files_that_can_t_both_be_the_first_is_taken(tmp_path: Path, paths: tuple[str, str]) -> None:
    played = Played([generated(CODE, files=dict.fromkeys(paths, "x"))])
    code = playing(tmp_path, played).generate(ORDER)
    assert code.files == {paths[0]: "x"}
    assert "one would be the other's folder" in played.told(1)


def test_files_without_number_are_told_of_once(tmp_path: Path) -> None:
    files = {f"{number}.txt": "x" for number in range(500)}
    played = Played([generated(CODE, files=files)])
    code = playing(tmp_path, played).generate(ORDER)
    assert list(code.files) == list(files)[:MOST_FILES]
    assert code.metadata[NOT_TAKEN] == f"500 files are too many; at most {MOST_FILES} are taken"


@pytest.mark.parametrize("name", ["__hidden", "Über", "_X"])
def test_a_class_that_can_be_no_entrypoint_is_none(tmp_path: Path, name: str) -> None:
    played = Played(
        [generated(CODE.replace(f"class {NAME}", f"class {name}"), entrypoint=name), generated(CODE)]
    )
    assert playing(tmp_path, played).generate(ORDER).entrypoint == NAME
    assert f"there is no class '{NAME}'" in played.told(1)


def test_code_without_measure_is_not_taken(tmp_path: Path) -> None:
    played = Played([generated(CODE + "# long\n" * 60_000), generated(CODE)])
    assert playing(tmp_path, played).generate(ORDER).code == CODE
    assert "at most 400000 are read" in played.told(1)
    with pytest.raises(UnusableAnswer, match="at most 400000 are read"):
        playing(tmp_path / "always", Played([generated(CODE + "# long\n" * 60_000)])).generate(ORDER)


@pytest.mark.parametrize("half", ["\ud83d", "\\ud83d"])
def test_half_a_character_is_kept_as_a_question_mark_and_not_paid_twice(tmp_path: Path, half: str) -> None:
    text = generated(CODE.replace("oversold territory", "HALF"), metadata={"a": "HALF"}).replace("HALF", half)
    played = Played([text])
    code = playing(tmp_path, played).generate(ORDER)
    assert code.code == CODE.replace("oversold territory", "?")
    assert code.metadata == {"a": "?"}
    assert playing(tmp_path, played).generate(ORDER) == code
    assert len(played.asked) == 1


# -- answers that are cut off


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_an_answer_that_is_cut_off_is_gone_on_with(tmp_path: Path, at: float) -> None:
    whole = generated(CODE)
    end = int(len(json.dumps(CODE)) * at)
    part = json.loads(f'{whole[:end].removesuffix(chr(92))}"}}')["code"]
    line = part.rpartition("\n")[2]
    played = Played([cut(whole, end), line + CODE[len(part) :]])
    code = playing(tmp_path, played).generate(ORDER)
    assert code.code == CODE
    assert f"```text\n{line.rstrip()}\n```" in played.told(1)
    assert code.usage is not None
    assert code.usage.calls == 2


def test_an_answer_in_many_parts(tmp_path: Path) -> None:
    third = len(CODE) // 3
    parts = [
        ModelResponse(parts=[TextPart(text)], finish_reason=finish)  # type: ignore[arg-type]
        for text, finish in (
            (CODE[:third], "length"),
            (CODE[third : 2 * third], "length"),
            (CODE[2 * third :], "stop"),
        )
    ]
    assert playing(tmp_path, Played(list(parts))).generate(ORDER).code == CODE


def test_code_that_breaks_off_is_noticed_though_the_provider_says_it_ended(tmp_path: Path) -> None:
    part = CODE[: CODE.index("self.rsi[-2]")]
    played = Played([f"```python\n{part}", part.rpartition("\n")[2] + CODE[len(part) :]])
    assert playing(tmp_path, played).generate(ORDER).code == CODE


def test_code_that_stays_cut_off_is_never_given_on(tmp_path: Path) -> None:
    played = Played([cut(CODE), ModelResponse(parts=[TextPart("        x = (")], finish_reason="length")])
    with pytest.raises(UnusableAnswer, match=rf"cut off {MOST_PARTS + 1} times.*nothing of it is saved"):
        playing(tmp_path, played).generate(ORDER)
    assert len(played.asked) == MOST_PARTS + 1
    with pytest.raises(CannotFix, match="cut off"):
        playing(tmp_path / "fix", Played([cut(CODE), "x = ("])).fix(fix_order())


# -- repairs


def test_a_repair_comes_with_its_changes(tmp_path: Path) -> None:
    changes = [
        {"line": 28, "before": "self.sell(", "after": "self.buy(", "reason": "long"},
        {"line": "x", "before": None},
        "no change",
    ]
    result = playing(tmp_path, Played([fixed(CODE, changes=changes)])).fix(fix_order())
    assert result.fixed_code == CODE
    assert result.explanation == "the side was wrong"
    assert [(change.line, change.after) for change in result.changes] == [(28, "self.buy("), (0, "")]
    assert result.prompt == prompt_digest("fix")
    assert result.usage is not None
    assert result.usage.calls == 1


def test_a_repair_in_a_fence_has_an_explanation_too(tmp_path: Path) -> None:
    result = playing(tmp_path, Played([f"```python\n{CODE}```"])).fix(fix_order())
    assert (result.fixed_code, result.explanation) == (CODE, "openai:test gave no explanation")


def test_a_repair_keeps_its_entrypoint(tmp_path: Path) -> None:
    played = Played([fixed(CODE.replace(f"class {NAME}", "class Mine")), fixed(CODE)])
    assert playing(tmp_path, played).fix(fix_order()).fixed_code == CODE
    assert f"there is no class '{NAME}'; there is Mine" in played.told(1)


@pytest.mark.parametrize("disguise", ["no", "spaces", "quotes"])
def test_code_that_was_tried_is_not_taken_again(tmp_path: Path, disguise: str) -> None:
    first, second = wrong_module(), module().replace("oversold = 35", "oversold = 20")
    again = {
        "no": first,
        "spaces": first.replace(" = ", "  =  ").replace("\n\n", "\n\n\n"),
        "quotes": first.replace('"""', "'''"),
    }[disguise]
    order = fix_order(first, code=second)
    played = Played([fixed(again), fixed(CODE)])
    assert playing(tmp_path, played).fix(order).fixed_code == CODE
    assert "That is the code of try 1 again" in played.told(1)
    stubborn = Played([fixed(again), fixed(second)])
    with pytest.raises(CannotFix, match=r"gave the code of try 2 again.*nothing new to try") as caught:
        playing(tmp_path / "stubborn", stubborn).fix(order)
    assert len(stubborn.asked) == 2
    assert caught.value.usage is not None
    assert caught.value.usage.calls == 2


def test_a_repair_that_is_refused_or_never_comes_ends_the_fixing(tmp_path: Path) -> None:
    with pytest.raises(CannotFix, match="won't answer this: I cannot do that") as caught:
        playing(tmp_path, Played(["I cannot do that."])).fix(fix_order())
    assert caught.value.usage is not None
    assert caught.value.usage.calls == 1
    with pytest.raises(CannotFix, match="gave no code that can be used"):
        playing(tmp_path / "none", Played(["Done, it works now."])).fix(fix_order())


def test_a_repair_that_the_provider_refuses_has_cost_nothing(tmp_path: Path) -> None:
    def refuses(*_: object) -> ModelResponse:
        raise ContentFilterError("flagged")

    to = Connection("openai:test", "openai", "test", KEY, "OPENAI_API_KEY", ModelOptions())
    engine = ModelEngine(Asker(to, lambda: FunctionModel(refuses)), Calls(Artifacts(tmp_path)))
    with pytest.raises(CannotFix, match="won't answer this") as caught:
        engine.fix(fix_order())
    assert caught.value.usage is None


# -- paid once


def test_a_repeated_step_asks_nobody_and_says_the_same(tmp_path: Path) -> None:
    played = Played(["no code here", cut(CODE), CODE])
    first = playing(tmp_path, played).generate(ORDER)
    silent = Played([])
    again = playing(tmp_path, silent).generate(ORDER)
    assert again == first
    assert silent.asked == []
    kept = [str(record.key) for record in Calls(Artifacts(tmp_path)).of("exp")]
    assert kept == ["exp/generate/0/1", "exp/generate/0/2", "exp/generate/0/3"]


def test_a_step_that_broke_off_goes_on_where_it_was(tmp_path: Path) -> None:
    class Broken(Exception):
        pass

    def breaks() -> None:
        if len(played.asked) == 2:
            raise Broken

    played = Played(["no code here", "none here either", generated(CODE)])
    with pytest.raises(Broken):
        playing(tmp_path, played, Accounts(on_settle=breaks)).generate(ORDER)
    rest = Played([generated(CODE)])
    code = playing(tmp_path, rest).generate(ORDER)
    assert len(rest.asked) == 1
    assert code.usage is not None
    assert code.usage.calls == 3


def test_another_question_or_another_repair_is_another_call(tmp_path: Path) -> None:
    played = Played([generated(CODE)])
    engine = playing(tmp_path, played)
    engine.generate(ORDER)
    other = ORDER.model_copy(
        update={"definition": ORDER.definition.model_copy(update={"notes": "differently"})}
    )
    engine.generate(other)
    engine.generate(ORDER.model_copy(update={"experiment_id": "exp-2"}))
    engine.generate(ORDER.model_copy(update={"candidate": 1}))
    assert len(played.asked) == 4
    repairs = Played([fixed(CODE)])
    playing(tmp_path, repairs).fix(fix_order())
    playing(tmp_path, repairs).fix(fix_order(CODE.replace("35", "20")))
    assert len(repairs.asked) == 2


def test_each_call_is_reserved_and_settled(tmp_path: Path) -> None:
    purse = Accounts()
    playing(tmp_path, Played(["none", generated(CODE)]), purse).generate(ORDER)
    one, two = "exp/generate/0/1", "exp/generate/0/2"
    assert purse.seen == [("reserve", one), ("settle", one), ("reserve", two), ("settle", two)]
    again = Accounts()
    playing(tmp_path, Played([]), again).generate(ORDER)
    assert again.seen == [("settle", one), ("settle", two)]


def test_a_call_that_brings_no_answer_gives_its_reservation_back(tmp_path: Path) -> None:
    def broken(*_: object) -> ModelResponse:
        raise RuntimeError("out of order")

    played, purse = Played([]), Accounts()
    played.__class__ = type("Broken", (Played,), {"__call__": broken})
    with pytest.raises(Exception, match="the call failed: RuntimeError: out of order"):
        playing(tmp_path, played, purse).generate(ORDER)
    assert [what for what, _ in purse.seen] == ["reserve", "release"]


def test_over_budget_nobody_is_asked(tmp_path: Path) -> None:
    played = Played(["none", generated(CODE)])
    with pytest.raises(OverBudget, match="1 calls are allowed"):
        playing(tmp_path, played, Accounts(most=1)).generate(ORDER)
    assert len(played.asked) == 1
