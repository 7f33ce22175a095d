"""What a figure was measured on: said beside every table."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def described(*packages: str) -> str:
    """Cores, memory, system and versions in one line."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = int(memory.group(1)) / 2**20 if memory else 0
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {gigabytes:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {versions}; load before: {load:.1f}"
    )


def replace_section(document: Path, name: str, text: str) -> None:
    """Put a table between the `<!-- name -->` markers of a document, made at its end where they are missing."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    old = document.read_text() if document.exists() else ""
    if begin in old:
        new = re.sub(re.escape(begin) + r".*?" + re.escape(end), lambda _: block, old, flags=re.DOTALL)
    else:
        new = f"{old.rstrip()}\n\n{block}\n".lstrip()
    document.write_text(new)
