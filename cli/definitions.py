"""Commands on definitions: checked, described, and taken over from the older format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.app import Json, app
from cli.output import CommandError, Exit, complain, out, print_json, visible

if TYPE_CHECKING:
    from domain.definitions import DefinitionError
    from domain.importer import ImportResult

_DEFINITIONS = "Definitions"


@app.command(rich_help_panel=_DEFINITIONS)
def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="JSON or YAML files, or names of shipped strategies.")
    ],
    as_json: Json = False,
) -> None:
    """Check definitions: every problem with its place, what was found and what is allowed. Exits 2 for any."""
    from domain.definitions import DefinitionError, definition_digest
    from services.definitions import load_definition
    from services.settings import Settings

    root = Settings().strategies
    told: list[dict[str, Any]] = []
    for file in files:
        try:
            checked = load_definition(file, root=root)
        except DefinitionError as error:
            told.append({"file": file, "valid": False, "problems": _problems(error)})
            if not as_json:
                complain(str(error) if error.source else f"{file}: {_lines(error)}", "invalid")
            continue
        told.append(
            {
                "file": file,
                "valid": True,
                "name": checked.definition.name,
                "version": checked.definition.version,
                "definition_sha256": definition_digest(checked.definition),
                "notes": checked.notes,
            }
        )
        if not as_json:
            out.print(f"valid: {file} ({checked.definition.name} {checked.definition.version})", markup=False)
            for note in checked.notes:
                out.print(f"  note: {note}", markup=False)
    if as_json:
        print_json({"valid": all(each["valid"] for each in told), "definitions": told})
    raise typer.Exit(Exit.DONE if all(each["valid"] for each in told) else Exit.USAGE)


def _problems(error: "DefinitionError") -> list[dict[str, str]]:
    return [{"path": item.path, "found": item.found, "message": item.message} for item in error.problems]


def _lines(error: "DefinitionError") -> str:
    return "; ".join(str(problem) for problem in error.problems)


@app.command("export-schemas", rich_help_panel=_DEFINITIONS)
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made where it isn't there.")],
    as_json: Json = False,
) -> None:
    """Write the JSON Schema of every public shape, a file each."""
    from services.schema_export import export_schemas

    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a directory; name one, or one that can be made")
    try:
        written, kept = export_schemas(folder)
    except OSError as error:
        raise CommandError(f"can't write to {error.filename or folder}: {error.strerror}") from error
    if as_json:
        print_json({"directory": folder, "written": written, "unchanged": kept})
    else:
        out.print(f"{len(written)} schemas written to {folder}, {len(kept)} were up to date", markup=False)


@app.command("show-schema", rich_help_panel=_DEFINITIONS)
def show_schema(
    name: Annotated[
        str | None,
        typer.Argument(help="A shape, for example StrategyDefinition; without it the names are listed."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the JSON Schema of one public shape."""
    from domain.rules.suggest import nearest
    from services.schema_export import public_shapes, schema_of

    shapes = public_shapes()
    if name is None:
        if as_json:
            print_json({"schemas": list(shapes)})
        else:
            out.print("\n".join(shapes), markup=False)
        return
    found = {key.lower(): shape for key, shape in shapes.items()}.get(name.lower())
    if found is None:
        alike = [key for key in shapes if name and name.lower() in key.lower()]
        near = " or ".join(alike[:4]) or nearest(name, list(shapes), cutoff=0.4)
        hint = f"did you mean {near}?" if near else "the names are listed by: python starter.py show-schema"
        raise CommandError(f"there is no shape '{name[:80]}'; {hint}")
    print_json(schema_of(found))


@app.command("import", rich_help_panel=_DEFINITIONS)
def import_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Documents in the step format, JSON or YAML.")
    ],
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the definitions go; made if need be.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Turn documents of the older AlgoAgent step format into definitions.

    Says what was understood, what was not, and what was assumed. Exits 1 where a document makes no definition, 2 where
    a file can't be read or written.
    """
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a directory; name one, or one that can be made")
    made: set[Path] = set()
    told, codes = [], [Exit.DONE]
    for file in files:
        about, code = _import(file, folder, force, made)
        told.append(about)
        codes.append(code)
        if not as_json:
            _show_import(about)
    if as_json:
        print_json({"imported": len(made), "documents": told})
    raise typer.Exit(max(codes))


def _import(file: Path, folder: Path, force: bool, made: set[Path]) -> tuple[dict[str, Any], Exit]:
    """One document: what is to be told of it, and its exit code. `made` is what this command wrote so far."""
    from domain.definitions import DefinitionError
    from domain.importer import ImportFormatError, import_steps
    from services.definitions import read_data

    about: dict[str, Any] = {"file": str(file), "definition": None}
    try:
        result = import_steps(read_data(file), source=str(file))
    except DefinitionError as error:
        return about | {"error": f"{file}: {_lines(error)}"}, Exit.USAGE
    except ImportFormatError as error:
        return about | {"error": str(error)}, Exit.USAGE
    about |= _report(result)
    if result.definition is None:
        return about | {"draft": result.draft}, Exit.FAILED
    target = folder / f"{result.definition['name']}.json"
    try:
        _write(target, result.definition, force and target not in made)
    except FileExistsError:
        why = "written just now, from another document of that name" if target in made else "there already"
        advice = "rename one of them" if target in made else "--force overwrites it"
        return about | {"error": f"{file}: {target} is {why}; {advice}"}, Exit.USAGE
    except OSError as error:
        return about | {"error": f"{file}: can't write {target}: {error.strerror}"}, Exit.USAGE
    made.add(target)
    return about | {"definition": str(target)}, Exit.DONE


def _write(target: Path, definition: dict[str, Any], overwrite: bool) -> None:
    """Raises FileExistsError where there is a file that may not be overwritten."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(definition, indent=2, ensure_ascii=False) + "\n")


def _report(result: "ImportResult") -> dict[str, Any]:
    def listed(parts: Sequence[Any]) -> list[dict[str, str]]:
        return [dict(vars(part)) for part in parts]

    return {
        "understood": listed(result.understood),
        "not_understood": listed(result.not_understood),
        "carried": listed(result.carried),
        "assumptions": result.assumptions,
        "problems": result.problems,
    }


def _show_import(about: dict[str, Any]) -> None:
    def line(label: str, text: str, style: str | None = None) -> None:
        out.print(f"  {label:<20} {text}", style=style, markup=False)

    out.print(about["file"], style="bold", markup=False)
    for part in about.get("understood", ()):
        line("understood", f"{_placed(part)} → {part['meaning']}")
    for part in about.get("not_understood", ()):
        near = f"; nearest: {part['nearest']}" if part["nearest"] else ""
        line("not understood", f"{_placed(part)}: {part['why']}{near}", "yellow")
    for part in about.get("carried", ()):
        line(f"kept in {part['to']}", _placed(part), "dim")
    for text in about.get("assumptions", ()):
        line("assumed", text)
    if about["definition"]:
        line("written", about["definition"], "green")
        line("next", f"python starter.py --definition {about['definition']}")
    for text in about.get("problems", ()):
        complain(f"no definition: {text}", about["file"], "yellow")
    if "draft" in about:
        line("draft", "to be completed by hand: --json shows it")
    if "error" in about:
        complain(about["error"])


def _placed(part: dict[str, str]) -> str:
    text = " ".join(visible(part["text"]).split())
    return f"{part['path']}: '{text if len(text) <= 100 else text[:99] + '…'}'"
