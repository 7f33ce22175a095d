"""What a worker loads, and compiles, when it first needs it: done once, in the process that workers are forked from."""

import sqlalchemy.dialects.sqlite  # noqa: F401

import tests.support.worker  # noqa: F401
from services.report.listing import code_lines
from tests.support.scripts import right_code

code_lines(right_code()[0])  # the rules' grammar, the report's lexer
