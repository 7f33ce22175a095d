"""Commands on code: the policy's findings, and the formatting that an experiment's code gets."""

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.app import Json, group
from cli.output import CommandError, Exit, complain, out, print_json
from cli.reading import read_code

code = group("code", "Check and format strategies' code as an experiment does.", "Code and sandboxes")

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Python files.")]


@code.command()
def check(
    files: Files,
    entrypoint: Annotated[
        str | None, typer.Option(help="The class that will be run; any strategy without.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="A secret that the definition asks for; may be given more than once."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what the code policy finds, by line. Exits 1 for errors, 2 for files that can't be read.

    Warnings alone don't keep code from being tried.
    """
    from schemas.code import Severity
    from services.code_reading import check_code

    told: list[dict[str, Any]] = []
    codes, findings_in_all = [Exit.DONE], 0
    for file in files:
        try:
            source = read_code(file)
        except CommandError as error:
            codes.append(Exit.USAGE)
            told.append({"file": file, "error": str(error)})
            if not as_json:
                complain(str(error))
            continue
        findings = check_code(source, entrypoint, secret or [])
        findings_in_all += len(findings)
        if any(finding.severity is Severity.ERROR for finding in findings):
            codes.append(Exit.FAILED)
        told.append({"file": file, "findings": findings})
        if as_json:
            continue
        for finding in findings:
            out.print(f"{file}:{finding}", markup=False)
            if finding.why:
                out.print(f"    why: {finding.why}", style="dim", markup=False)
            if finding.instead:
                out.print(f"    instead: {finding.instead}", style="dim", markup=False)
    if as_json:
        print_json({"clean": findings_in_all == 0 and max(codes) is Exit.DONE, "files": told})
    elif not findings_in_all and max(codes) is Exit.DONE:
        out.print(f"nothing found in {len(files)} file{'s' if len(files) > 1 else ''}")
    raise typer.Exit(max(codes))


@code.command("format")
def format_files(
    files: Files,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where something would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Format files in place: isort, then black. Exits 2 for files that can't be read as Python."""
    from services.formatter import FormatError, format_code

    told: list[dict[str, Any]] = []
    codes = [Exit.DONE]
    for file in files:
        about: dict[str, Any] = {"file": file}
        told.append(about)
        try:
            source = read_code(file)
            text = format_code(source)
            about["changed"] = text != source
            if about["changed"] and not (check or diff):
                file.write_text(text, encoding="utf-8", newline="\n")
        except (CommandError, FormatError, OSError) as error:
            about["error"] = _told(file, error)
            codes.append(Exit.USAGE)
            if not as_json:
                complain(about["error"])
            continue
        if about["changed"] and check:
            codes.append(Exit.FAILED)
        if diff:
            about["diff"] = _diff(str(file), source, text)
        if as_json:
            continue
        if diff:
            out.print(about["diff"], markup=False, end="")
        elif about["changed"]:
            out.print(f"{'would format' if check else 'formatted'} {file}", markup=False)
    if as_json:
        print_json({"changed": sum(bool(about.get("changed")) for about in told), "files": told})
    elif not diff and not any(about.get("changed") for about in told) and max(codes) is Exit.DONE:
        out.print(f"{len(files)} file{'s' if len(files) > 1 else ''} formatted already")
    raise typer.Exit(max(codes))


def _told(file: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{file}: can't be written: {error.strerror}"
    return str(error) if isinstance(error, CommandError) else f"{file}: {error}"


def _diff(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        fromfile=f"{name} (as it is)",
        tofile=f"{name} (formatted)",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
