"""Commands on sandboxes: run a file in one, see which there are, remove what was left."""

import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.app import Json, Provider, finite, group
from cli.deciding import Experiment
from cli.output import CommandError, Exit, complain, err, out, print_json, table, visible
from cli.reading import read_bytes

if TYPE_CHECKING:
    from schemas.sandbox import Limits, RunResult, SandboxInfo
    from services.sandboxes import SandboxManager

sandbox = group(
    "sandbox", "Run code apart from everything else, and look after sandboxes.", "Code and sandboxes"
)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def _manager(limits: "Limits | None" = None) -> "SandboxManager":
    """The manager as a worker has it, with nothing kept ready."""
    from services.sandboxes import SandboxManager, default_providers
    from services.settings import Settings

    settings = Settings()
    folder = settings.home / "sandboxes"
    providers = default_providers(
        folder,
        order=settings.sandbox_providers,
        image=settings.sandbox_image,
        runtime=settings.sandbox_runtime,
    )
    return SandboxManager(providers, folder / "leases", ready=0, limits=limits)


@sandbox.command()
def run(
    file: Annotated[
        Path, typer.Argument(help="A Python file; numpy, pandas, talib and backtesting are there.")
    ],
    provider: Annotated[Provider | None, typer.Option(help="The first that works where left out.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=3600.0, callback=finite, help="Seconds until it is killed.")
    ] = 60.0,
    memory: Annotated[int, typer.Option(min=64, max=65536, help="MB.")] = 1024,
    as_json: Json = False,
) -> None:
    """Run a Python file in a fresh sandbox: no network, a read-only system, limits; then destroy the sandbox.

    Its stdout and stderr are shown as they are; which limit it hit is said. Exits 0 where it does, else 1.
    """
    from schemas.sandbox import Limits

    source = read_bytes(file, most=64 << 20)
    limits = Limits(memory_mb=memory)
    name = file.name if _PLAIN_NAME.fullmatch(file.name) else "main.py"
    with _manager(limits) as manager:
        held = manager.lease(
            f"command-{secrets.token_hex(6)}",
            provider=provider.value if provider else None,
            limits=limits,
            labels={"genesis.command": "sandbox run"},
        )
        image = manager.image(held.info.provider)
        held.put({name: source})
        result = held.run(["python3", name], timeout=timeout)
    hit = _limits_hit(result, limits, timeout)
    if as_json:
        print_json(
            {"file": file, "provider": held.info.provider, "image": image, "ok": result.ok}
            | {"limits": limits, "timeout": timeout, "limits_hit": hit}
            | result.model_dump(mode="json")
        )
    else:
        _show(result, hit, held.info.provider)
    raise typer.Exit(Exit.DONE if result.ok else Exit.FAILED)


def _limits_hit(result: "RunResult", limits: "Limits", timeout: float) -> list[str]:
    said = {
        f"time: killed after {timeout:g} s": result.timed_out,
        f"memory: more than {limits.memory_mb} MB": result.out_of_memory,
        f"processes: more than {limits.processes}": result.too_many_processes,
        f"disk: more than {limits.disk_mb} MB": result.disk_full,
        f"output: cut at {limits.output_kb} KB": result.output_truncated,
    }
    return [text for text, is_so in said.items() if is_so]


def _show(result: "RunResult", hit: list[str], provider: str) -> None:
    for stream, text in ((sys.stdout, result.stdout), (sys.stderr, result.stderr)):
        # A terminal obeys control characters, and this is untrusted; a pipe gets them as they came.
        stream.write(visible(text) if stream.isatty() else text)
        if text and not text.endswith("\n") and stream.isatty():
            stream.write("\n")
        stream.flush()
    if result.exit_code is not None:
        ended = f"exit code {result.exit_code}"
    else:
        ended = f"ended by signal {result.signal}" if result.signal else "ended from outside"
    peak = f", at most {result.peak_memory_mb:.0f} MB" if result.peak_memory_mb is not None else ""
    err.print(f"{ended} after {result.seconds:.2f} s{peak}, in {provider}", style="dim", markup=False)
    for text in hit:
        complain(text, "limit", "yellow")


@sandbox.command("list")
def list_sandboxes(as_json: Json = False) -> None:
    """The living sandboxes of this machine, oldest first."""
    with _manager() as manager:
        found = manager.list()
    if as_json:
        print_json({"sandboxes": [_about(info) for info in found]})
    elif not found:
        out.print("no sandbox")
    else:
        _show_sandboxes(found)


@sandbox.command()
def cleanup(as_json: Json = False) -> None:
    """Destroy sandboxes whose process has ended. A worker does so when it starts."""
    with _manager() as manager:
        gone = manager.cleanup()
    if as_json:
        print_json({"removed": [_about(info) for info in gone]})
    elif not gone:
        out.print("nothing to remove: every sandbox belongs to a process that runs")
    else:
        out.print(f"removed {len(gone)}:")
        _show_sandboxes(gone)


@sandbox.command()
def preserved(
    experiment: Experiment,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Unpack it into this directory, made where missing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a failed try-out left in its sandbox: the code, what it wrote. The latest of the experiment."""
    from cli.records import row_of
    from services.artifacts import Artifacts
    from services.preserving import contents, unpack
    from services.settings import Settings

    row = row_of(experiment)
    digest = row.artifacts.get("workspace")
    if digest is None:
        raise CommandError(f"nothing was preserved of {row.experiment_id}: no try-out of it failed its gates")
    packed = Artifacts(Settings().home / "artifacts").get(digest)
    found = contents(packed)
    if output is not None:
        try:
            unpack(packed, output)
        except OSError as error:
            raise CommandError(
                f"{output} can't be written: {error.strerror}; name another directory"
            ) from error
    if as_json:
        print_json(
            {"experiment_id": row.experiment_id, "workspace": digest, "output": output}
            | {"files": [{"path": path, "size": size} for path, size in found.items()]}
        )
        return
    table(["file", "bytes"], [(visible(path), size) for path, size in found.items()])
    if output is not None:
        out.print(f"unpacked into {output}", markup=False)


def _about(info: "SandboxInfo") -> dict[str, Any]:
    return info.model_dump(mode="json") | {"used_by": _used_by(info)}


def _used_by(info: "SandboxInfo") -> str:
    labels = info.labels
    if labels.get("genesis.stock"):
        return "in stock"
    return labels.get("genesis.experiment") or labels.get("genesis.command") or "–"


def _show_sandboxes(found: Any) -> None:
    table(
        ["sandbox", "provider", "age, s", "used by"],
        [
            (info.sandbox_id, info.provider, round(time.time() - info.created), _used_by(info))
            for info in found
        ],
    )
