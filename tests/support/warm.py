"""What a worker loads, and compiles, when it first needs it: done once, in the process that workers are forked from."""

import gc
from importlib import import_module

from services.collector import relax
from services.report.listing import code_lines
from tests.support.scripts import right_code

LOADED_LATER = [
    "tests.support.worker",
    "services.engines.model",
    "pydantic_ai.models.openai",
    "pydantic_ai.providers.openai_compatible",
    "genai_prices",
    "services.sandboxes.bubblewrap",
    "services.sandboxes.docker",
    "services.secrets.file",
    "sqlalchemy.dialects.sqlite",
]

relax()
for name in LOADED_LATER:
    import_module(name)
code_lines(right_code()[0])  # the rules' grammar, the report's lexer
gc.freeze()  # what a fork would only walk through, and copy for it
