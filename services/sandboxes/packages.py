"""Which installed packages a sandbox gets: those of a strategy and what they need, and no others.

`python -m services.sandboxes.packages` prints them as requirements, for the image's build.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

STRATEGY_PACKAGES = ("numpy", "pandas", "TA-Lib", "backtesting")
LEFT_OUT = frozenset({"bokeh"})
"""Needed for plots alone; the harness puts a stand-in for them."""


class MissingPackage(Exception):
    """A package that sandboxes need is not installed here."""


def closure(names: Iterable[str] = STRATEGY_PACKAGES) -> dict[str, Distribution]:
    """The packages and all that they require on this platform, by normalised name."""
    found: dict[str, Distribution] = {}
    waiting = [*names]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name in LEFT_OUT:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise MissingPackage(
                f"'{name}' is not installed, and sandboxes need it: pip install {name}"
            ) from None
        requirements = (Requirement(text) for text in found[name].requires or ())
        waiting += [
            need.name for need in requirements if not need.marker or need.marker.evaluate({"extra": ""})
        ]
    return dict(sorted(found.items()))


def top_level_paths(packages: Mapping[str, Distribution]) -> dict[str, Path]:
    """The packages' files and directories beside each other, by name: what lies in site-packages, metadata too."""
    found: dict[str, Path] = {}
    for name, package in packages.items():
        if package.files is None:
            raise MissingPackage(f"'{name}' has no list of its files; install it again with pip")
        for file in package.files:
            first = file.parts[0]
            if first not in ("..", "__pycache__") and first not in found:
                found[first] = Path(str(package.locate_file(first))).resolve()
    return found


if __name__ == "__main__":
    print("\n".join(f"{name}=={package.version}" for name, package in closure().items()))
