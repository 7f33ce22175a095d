"""Commands on secrets. Values come from a prompt or stdin, never from arguments, and are shown only on request."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.app import Json, group
from cli.output import CommandError, err, out, print_json, table

if TYPE_CHECKING:
    from schemas.secrets import SecretInfo
    from services.secrets import SecretStore

secrets = group("secrets", "Keep secrets: models' keys, and what sandboxes are allowed to have.", "Secrets")

Name = Annotated[str, typer.Argument(help="Such as OPENAI_API_KEY.")]
Typed = Annotated[list[str] | None, typer.Argument(hidden=True)]
"""Takes what nobody should have typed there, to refuse it without showing it once more."""


@contextlib.contextmanager
def _store() -> "Iterator[SecretStore]":
    from services.secrets import open_store
    from services.settings import Settings

    store = open_store(Settings())
    try:
        yield store
    finally:
        store.close()


@secrets.command("set")
def set_secret(name: Name, typed: Typed = None, as_json: Json = False) -> None:
    """Keep a value as the newest version: asked for, unseen, or read from stdin (`… < file`), less its last newline."""
    _check(name, typed)
    with _store() as store:
        _show(store.set(name, _value(name)), f"{store.name}: set", as_json)


@secrets.command()
def rotate(name: Name, typed: Typed = None, as_json: Json = False) -> None:
    """Replace a secret that is there by another value; the earlier one stays as a version of its own."""
    _check(name, typed)
    with _store() as store:
        store.get(name)
        _show(store.rotate(name, _value(name)), f"{store.name}: rotated", as_json)


@secrets.command()
def get(
    name: Name,
    show: Annotated[bool, typer.Option("--show", help="Print the value, and nothing else.")] = False,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier one.")] = None,
    as_json: Json = False,
) -> None:
    """Whether a secret is there, and which versions of it; its value only with --show."""
    with _store() as store:
        value = store.get(name, version)
        if show and as_json:
            print_json({"name": name, "version": version, "value": value})
        elif show:
            sys.stdout.write(value + "\n")
        else:
            info = next((one for one in store.list() if one.name == name), None)
            if info is None:
                raise CommandError(f"{name} was removed just now; see: python starter.py secrets list")
            _show(info, f"{store.name}:", as_json)


@secrets.command("list")
def list_secrets(as_json: Json = False) -> None:
    """Every secret, but for its value."""
    with _store() as store:
        found = store.list()
        if as_json:
            print_json({"store": store.name, "secrets": list(found)})
            return
        if not found:
            out.print(
                f"the {store.name} store holds no secret; begin with: python starter.py secrets set NAME"
            )
            return
        table(
            ["secret", "version", "kept", "updated"],
            [
                (one.name, one.version, len(one.kept), f"{one.updated:%F %T}" if one.updated else None)
                for one in found
            ],
        )


@secrets.command()
def doctor(as_json: Json = False) -> None:
    """Whether the store can be used, and which tokens of experiments live. Exits 1 where it can't."""
    from services.settings import Settings

    with _store() as store:
        found, tokens = list(store.check()), list(store.issued())
        allowed = Settings().sandbox_secrets
        if as_json:
            print_json({"store": store.name, "found": found, "tokens": tokens, "sandbox_secrets": allowed})
            return
        for line in found:
            out.print(f"{store.name}: {line}", markup=False)
        for token in tokens:
            out.print(
                f"token {token.accessor} of {token.experiment_id} reads {', '.join(token.names)} until "
                f"{token.expires:%F %T} UTC",
                markup=False,
            )
        out.print(f"definitions may ask for: {', '.join(allowed) or 'none'}", markup=False)


def _check(name: str, typed: list[str] | None) -> None:
    """Before anybody is asked for a value."""
    from services.secrets.contract import checked_name

    if typed:
        raise CommandError(
            "a value is never an argument: others see it in the list of processes, and the shell keeps it; leave it "
            "away to be asked, and take another value than this one"
        )
    checked_name(name)


def _value(name: str) -> str:
    """From the prompt where a person sits there, else all of stdin."""
    from services.secrets.contract import MOST_BYTES

    if sys.stdin.isatty():
        err.print(f"{name} is not shown while you type", style="dim")
        return str(typer.prompt("value", hide_input=True, confirmation_prompt=True, err=True))
    given = sys.stdin.buffer.read(MOST_BYTES + 3)  # one more than fits, whatever its line end
    try:
        text = given.decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError("the value on stdin is not UTF-8 text; encode it, for example in base64") from None
    return text.removesuffix("\n").removesuffix("\r")


def _show(info: "SecretInfo", what: str, as_json: bool) -> None:
    if as_json:
        print_json(info)
        return
    kept = f", {len(info.kept)} kept" if len(info.kept) > 1 else ""
    when = f", set {info.updated:%F %T} UTC" if info.updated else ""
    out.print(f"{what} {info.name}, version {info.version}{kept}{when}", markup=False)
