"""What works on this machine."""

import typer
from rich.text import Text

from cli.app import Json, app
from cli.output import Exit, out, print_json, visible


@app.command(rich_help_panel="Look")
def doctor(as_json: Json = False) -> None:
    """Say what works on this machine, what doesn't, and what to install. Exits 1 where no experiment can run."""
    from services.doctor import State, broken, examine
    from services.settings import Settings

    checks = examine(Settings())
    ready = not any(broken(checks))
    if as_json:
        print_json({"ready": ready, "checks": checks})
        raise typer.Exit(Exit.DONE if ready else Exit.FAILED)
    styles = {State.WORKS: "green", State.WEAK: "yellow", State.BROKEN: "red"}
    for check in checks:
        out.print(
            Text.assemble(
                (f"{check.state:<7} ", styles[check.state]), f"{check.name:<18} ", visible(check.found)
            )
        )
        if check.advice:
            out.print(f"{'':<27}do: {check.advice}", markup=False)
    out.print()
    if ready:
        out.print("ready: python starter.py --strategy RSI_Reversal", style="bold green")
    else:
        out.print("no experiment can run here until what is broken is mended", style="bold red")
    raise typer.Exit(Exit.DONE if ready else Exit.FAILED)
