"""Commands on the memory: what failed in earlier experiments, and what helped."""

import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.syntax import Syntax

from cli.app import Json, finite, group
from cli.output import CommandError, err, out, print_json, table, visible

if TYPE_CHECKING:
    from schemas.memory import Lesson
    from services.memory import Memory

memory = group(
    "memory", "What was learnt from failures: look at it, search it, carry it elsewhere.", "Library"
)

LessonName = Annotated[str, typer.Argument(help="A lesson's id, or the beginning of one.")]
SHORT = 8
"""Characters of an id in tables."""
WIDTH = 100
"""Characters of a message in tables."""


def _memory() -> "Memory":
    from services.memory import Memory
    from services.settings import Settings

    return Memory.of(Settings())


@memory.command("list")
def list_lessons(
    gate: Annotated[str, typer.Option(help="Only failures of this gate: runs, conforms …")] = "",
    error_type: Annotated[str, typer.Option(help="Only this error type: TypeError, import …")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most lessons.")] = 50,
    as_json: Json = False,
) -> None:
    """Lessons, those that were met most often first."""
    if gate:
        from schemas.gates import Gate

        if gate not in list(Gate):
            raise CommandError(f"there is no gate '{gate}'; there are: {', '.join(Gate)}")
    with _memory() as lessons:
        found = lessons.lessons(limit=limit + 1, gate=gate, error_type=error_type)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        print_json({"lessons": found, "more": more})
        return
    if not found:
        only = " of this kind" if gate or error_type else " yet; experiments whose code fails will fill it"
        out.print(f"nothing was learnt{only}")
        return
    _table(found)
    if more:
        err.print(f"more than {limit}; --limit shows more", style="dim")


@memory.command()
def search(
    text: Annotated[str, typer.Argument(help="An error's text, or what went wrong in your own words.")],
    most: Annotated[int, typer.Option(min=1, max=100, help="Most lessons.")] = 10,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-1.0, max=1.0, callback=finite, help="Least similarity. [env: GENESIS_MEMORY_THRESHOLD]"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Lessons by what they mean, best first: by similarity, and by how often their fix worked."""
    from domain.lessons import normalise
    from schemas.memory import Recall

    wanted = normalise(text)
    if not wanted:
        raise CommandError("the text is empty; write what went wrong, for example: memory search 'NoneType'")
    with _memory() as lessons, err.status("asking the memory; its model takes some seconds to load"):
        found = lessons.recall(Recall(text=wanted, most=most, threshold=threshold))
    if as_json:
        print_json({"lessons": found})
        return
    if not found:
        out.print("nothing similar was learnt; a lower --threshold finds what is less so")
        return
    _table(found, similarity=True)


@memory.command()
def show(lesson: LessonName, as_json: Json = False) -> None:
    """One lesson: the failure, the code it came from, the fix, and how that fared."""
    with _memory() as lessons:
        found = lessons.get(lesson)
    if as_json:
        print_json(found)
        return
    definition = f", definition {found.definition[:12]}" if found.definition else ""
    tried = f"fix worked {found.worked}, failed {found.failed}" if found.fix else "never fixed"
    rows = [
        ("lesson", found.id),
        ("failed", f"{found.gate}: {found.error_type}"),
        ("said", found.message),
        ("met", f"{found.seen} times; {tried}"),
        ("recalled", f"{found.recalled} times, helped {found.helped}"),
        ("last met by", f"{found.experiment_id} ({found.strategy}, {found.engine}{definition})"),
    ]
    for name, value in rows:
        out.print(f"{name:<12}{visible(value)}", markup=False)
    for title, text, language in (("code", found.code, "python"), ("fix", found.fix, "diff")):
        if text:
            out.print(f"\n[bold]{title}[/bold]")
            out.print(Syntax(visible(text), language, background_color="default", word_wrap=True))


@memory.command()
def forget(lesson: LessonName, as_json: Json = False) -> None:
    """Remove one lesson. Met again, it is learnt again."""
    with _memory() as lessons:
        found = lessons.forget(lesson)
    if as_json:
        print_json({"forgotten": found})
        return
    out.print(
        f"forgot {found.id}: {visible(found.error_type)}: {visible(_short(found.message))}", markup=False
    )


@memory.command()
def stats(as_json: Json = False) -> None:
    """How much was learnt, how often it was recalled, and how often that helped."""
    with _memory() as lessons:
        found = lessons.stats()
    if as_json:
        print_json(found)
        return
    dimension = f", {found.dimension} dimensions" if found.dimension else ", nothing embedded yet"
    for name, value in (
        ("where", found.where),
        ("model", f"{found.model}{dimension}"),
        ("lessons", f"{found.lessons}, {found.with_fix} with a fix"),
        ("met", f"{found.seen} times"),
        ("fixes", f"worked {found.worked} times, failed {found.failed}"),
        ("recalled", f"{found.recalled} times, helped {found.helped}"),
    ):
        out.print(f"{name:<10}{visible(value)}", markup=False)
    if found.by_error_type:
        out.print()
        table(["error type", "met"], found.by_error_type.items())


@memory.command("export")
def export_lessons(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; stdout where left out, or '-'.", allow_dash=True)
    ] = None,
    as_json: Json = False,
) -> None:
    """Every lesson as JSON lines, without vectors: another memory, or another model, can take them."""
    with _memory() as lessons:
        if file is not None and str(file) != "-":
            count = _write(file, lessons)
            if as_json:
                print_json({"lessons": count, "file": file})
            else:
                err.print(f"{count} lessons are in {visible(str(file))}", style="dim", markup=False)
        elif as_json:
            print_json({"lessons": list(lessons.export())})
        else:
            for lesson in lessons.export():
                sys.stdout.write(_line(lesson))


@memory.command("import")
def import_lessons(
    file: Annotated[Path, typer.Argument(help="An export; '-' reads stdin.", allow_dash=True)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove all that is kept before; needed for another model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take an export in. What is known keeps its own fix and the higher counts: importing twice changes nothing."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not UTF-8 text; take what 'memory export' wrote") from error
    except IsADirectoryError as error:
        raise CommandError(f"{file}: a folder; name the file that 'memory export' wrote") from error
    except FileNotFoundError as error:
        raise CommandError(f"{file}: there is no such file") from error
    with _memory() as lessons, err.status("embedding the lessons"):
        new, raised = lessons.import_(text.split("\n"), replace=replace)
    if as_json:
        print_json({"new": new, "raised": raised})
        return
    out.print(f"{new} lessons are new, {raised} known ones have higher counts")


def _write(file: Path, lessons: "Memory") -> int:
    """The file is there as a whole or not at all."""
    try:
        descriptor, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name[:100]}.")
    except FileNotFoundError as error:
        raise CommandError(f"{file}: there is no folder {file.absolute().parent}") from error
    count = 0
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            for lesson in lessons.export():
                target.write(_line(lesson))
                count += 1
        os.replace(name, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return count


def _line(lesson: "Lesson") -> str:
    return json.dumps(lesson.model_dump(mode="json", exclude={"similarity"}), ensure_ascii=True) + "\n"


def _table(found: "list[Lesson]", *, similarity: bool = False) -> None:
    table(
        ["id", *(["similar"] if similarity else []), "gate", "error", "met", "worked", "failed", "message"],
        [
            (
                one.id[:SHORT],
                *([one.similarity] if similarity else []),
                one.gate,
                one.error_type,
                one.seen,
                one.worked if one.fix else None,
                one.failed if one.fix else None,
                _short(one.message),
            )
            for one in found
        ],
    )


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
