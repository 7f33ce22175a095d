"""JSON Schemas of the public shapes, for editors, for other languages, and to see what a change does to them."""

import importlib
import json
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemas
from schemas.base import Shape

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def public_shapes() -> dict[str, type[Shape]]:
    """Every shape that a module of `schemas` defines, by its name, sorted."""
    found: dict[str, type[Shape]] = {}
    for module in pkgutil.iter_modules(schemas.__path__, "schemas."):
        for value in vars(importlib.import_module(module.name)).values():
            if not (isinstance(value, type) and issubclass(value, Shape) and value.__module__ == module.name):
                continue
            if value is not Shape and found.setdefault(value.__name__, value) is not value:
                raise ValueError(
                    f"two shapes are called {value.__name__}, in {found[value.__name__].__module__} and {module.name}; "
                    "rename one of them"
                )
    return dict(sorted(found.items()))


def schema_of(shape: type[Shape]) -> dict[str, Any]:
    """What is accepted as this shape, in JSON Schema 2020-12."""
    return {"$schema": DIALECT, **shape.model_json_schema(mode="validation")}


def schema_files() -> Mapping[str, str]:
    """File names and their texts: one file for each shape, the same bytes on every machine."""
    return {
        f"{name}.json": json.dumps(schema_of(shape), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, shape in public_shapes().items()
    }


def export_schemas(folder: Path) -> tuple[list[str], list[str]]:
    """Write the files into `folder`, which is made; returns the names that were written and those left as they were.

    Other files in the folder are not touched. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written, kept = [], []
    for name, text in schema_files().items():
        file = folder / name
        if file.is_file() and file.read_bytes() == text.encode():
            kept.append(name)
            continue
        file.write_text(text, encoding="utf-8", newline="\n")
        written.append(name)
    return written, kept
