"""One walk over the tree: every rule that looks at a single place."""

import ast
import re
import string
from collections.abc import Collection

from domain.code_policy import allowed
from domain.code_policy.environment import how_to_read, imports_of_environment
from domain.code_policy.scopes import Imports
from domain.code_policy.walking import Walk
from schemas.code import Severity

_DUNDER = re.compile(r"__\w+?__")
_REACHING = re.compile(r"(\.|\[)\s*_|\._|__")
_OPEN_FIELD = re.compile(r"\{\w*(\.\w*|\[\w*)+$")
_ATTRIBUTE_IN_TEXT = re.compile(r"@|__|[A-Za-z_)\]]\s*\.\s*[A-Za-z_]")


class Checks(Walk):
    """What names, attributes, calls, texts and definitions may be."""

    def __init__(self, tree: ast.Module, imports: Imports, secrets: Collection[str] = ()) -> None:
        """`secrets` may be read from the environment, which is then imported by itself (see environment)."""
        self._environment = imports_of_environment(tree) if secrets else frozenset()
        self._instead_of_os = how_to_read(secrets) if secrets else ""
        self._own_functions = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        self._seen_calls: set[int] = set()
        self._docstrings = _docstrings(tree)
        super().__init__(tree, imports)

    # --- imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node in self._environment:
            return
        if node.level:
            self._report("import", node, "a relative import", instead="put everything into one module")
        elif self._module(module, node):
            for alias in node.names:
                if alias.name == "*":
                    self._report("star_import", node, f"'from {module} import *'")
                elif f"{module}.{alias.name}" not in allowed.MODULES:
                    self._member(module, alias.name, node)

    def _module(self, name: str, node: ast.AST) -> bool:
        if name in allowed.MODULES:
            return True
        instead = self._instead_of_os if name == "os" else ""
        self._report("import", node, f"the module '{name}' may not be imported", instead=instead)
        return False

    def _member(self, module: str, name: str, node: ast.AST) -> None:
        """A name taken from a module."""
        dotted = f"{module}.{name}"
        root = module.split(".")[0]
        if name in allowed.FORBIDDEN.get(module, ()) or (root == "pandas" and name.startswith("read_")):
            self._report(
                "io" if root in ("numpy", "pandas") else "module_attribute",
                node,
                f"'{dotted}' may not be used",
            )
        elif name.startswith("_") and name not in allowed.DUNDER_READ:
            self._report("module_attribute", node, f"'{dotted}' is private to its module")
        elif module == "backtesting.test" and self._in_main_guard and name in allowed.SAMPLE_DATA:
            return  # a habit of examples; nothing below the guard runs here
        elif name in allowed.INNER.get(module, ()) or name not in allowed.ONLY.get(module, {name}):
            instead = "use self.data" if module == "backtesting.test" else ""
            self._report("module_attribute", node, f"'{dotted}' may not be used", instead=instead)
        elif name in allowed.STANDARD_MODULES and name not in allowed.NAMED_LIKE_A_MODULE.get(module, ()):
            self._report("module_attribute", node, f"'{dotted}' is the standard module '{name}'")
        elif name == "as_strided":
            self._report("unsafe_memory", node, f"'{dotted}' isn't bounded", severity=Severity.WARNING)

    # --- names and attributes

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store | ast.Del):
            if _is_dunder(node.id) and node.id not in allowed.DUNDER_ASSIGN:
                self._report("dunder", node, f"'{node.id}' may not be set")
            return
        if self._is_local(node.id):
            return
        if node.id in allowed.BUILTINS:
            self._report(allowed.BUILTINS[node.id], node, f"the built-in '{node.id}' may not be used")
        elif node.id in allowed.ATTRIBUTE_FUNCTIONS and id(node) not in self._seen_calls:
            self._report("reflection", node, f"'{node.id}' may only be called, with a literal name")
        elif _is_dunder(node.id) and node.id not in allowed.DUNDER_NAMES:
            self._report("dunder", node, f"'{node.id}' may not be used")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._imports.resolve(node)
        if dotted:
            module, _, name = dotted.rpartition(".")
            if module in allowed.MODULES and dotted not in allowed.MODULES:
                self._member(module, name, node)
        if not isinstance(node.ctx, ast.Load):
            if dotted and not dotted.startswith("pandas.options."):
                self._report("patching", node, f"'{dotted}' is set or deleted")
            elif _is_class_of_foreign(node.value):
                self._report("patching", node, f"'.{node.attr}' of another object's class is set")
        if not (node.attr == "__class__" and id(node) in self._seen_calls):
            self._attribute(node.attr, node, node.value)
        if (
            node.attr == "__name__"
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "__class__"
        ):
            self._seen_calls.add(id(node.value))  # x.__class__.__name__ is only a text
        self.generic_visit(node)

    def _attribute(self, name: str, node: ast.AST, of: ast.expr | None = None) -> None:
        """An attribute by name, wherever it is taken from."""
        if _is_dunder(name):
            on_super = isinstance(of, ast.Call) and isinstance(of.func, ast.Name) and of.func.id == "super"
            if name not in allowed.DUNDER_READ and not (on_super and name in allowed.DUNDER_DEFINE):
                self._report("dunder", node, f"the attribute '{name}' may not be used")
        elif name in allowed.FRAMES:
            self._report("frame", node, f"the attribute '{name}' may not be used")
        elif name in allowed.HARD_MODULES:
            self._report("module_attribute", node, f"the attribute '{name}' names a module or raw memory")
        elif name in allowed.IO_METHODS:
            self._report("io", node, f"'{name}' writes data out")
        elif name in allowed.PROCESS_METHODS and not (isinstance(of, ast.Name) and of.id == "self"):
            self._report("process", node, f"'{name}' may not be used")
        elif name in allowed.ENGINE_PRIVATE or name.startswith(allowed.MANGLED):
            self._report("engine_internals", node, f"'{name}' belongs to the engine")
        elif name.startswith("_") and isinstance(of, ast.Attribute) and of.attr in ("data", "position"):
            self._report("engine_internals", node, f"'{of.attr}.{name}' belongs to the engine")

    # --- calls

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in allowed.ATTRIBUTE_FUNCTIONS and not self._is_local(name):
            self._seen_calls.add(id(node.func))
            self._attribute_function(name, node)
        elif name == "type" and (len(node.args) > 1 or node.keywords):
            self._report("reflection", node, "'type' makes a class", instead="write a class statement")
        dotted = self._imports.resolve(node.func) or ""
        if dotted in ("operator.attrgetter", "operator.methodcaller"):
            self._getter(dotted, node)
        if dotted == "logging.basicConfig" and any(
            keyword.arg in ("filename", None) for keyword in node.keywords
        ):
            self._report("io", node, "logging goes to a file", instead="log to the output, without filename")
        if isinstance(node.func, ast.Attribute):
            self._method(node.func, node)
        for text in _constants(node):
            if text.value in allowed.IO_METHODS or str(text.value).startswith(("read_csv", "read_pickle")):
                self._report("io", text, f"{text.value!r} names a method that reads or writes files")
        self.generic_visit(node)

    def _attribute_function(self, name: str, node: ast.Call) -> None:
        """getattr and its kin: literal names are judged as attributes; `self` may have names like f'sma_{n}'."""
        target = node.args[0] if node.args else None
        which = node.args[1] if len(node.args) > 1 else None
        if isinstance(which, ast.Constant) and isinstance(which.value, str):
            self._attribute(which.value, node, target)
            dotted = self._imports.resolve(target) if target else None
            if dotted and dotted in allowed.MODULES:
                self._member(dotted, which.value, node)
            if dotted and name in ("setattr", "delattr"):
                self._report("patching", node, f"'{dotted}.{which.value}' is set or deleted")
            elif target and name in ("setattr", "delattr") and _is_class_of_foreign(target):
                self._report("patching", node, f"'.{which.value}' of another object's class is set")
        elif not (isinstance(target, ast.Name) and target.id == "self" and _has_plain_beginning(which)):
            self._report("reflection", node, f"'{name}' with a name made at run time")

    def _getter(self, dotted: str, node: ast.Call) -> None:
        names = node.args[:1] if dotted.endswith("methodcaller") else node.args
        for argument in names:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                for part in argument.value.split("."):
                    self._attribute(part, argument)
            else:
                self._report("reflection", argument, f"'{dotted}' with a name made at run time")

    def _method(self, func: ast.Attribute, node: ast.Call) -> None:
        if func.attr in ("eval", "query") and node.args and not self._imports.resolve(func.value):
            text = node.args[0]
            if not isinstance(text, ast.Constant) or _ATTRIBUTE_IN_TEXT.search(str(text.value)):
                self._report("dynamic_code", node, f"'.{func.attr}' runs a text that reaches beyond columns",
                             instead="use a boolean mask, or a literal text of columns and numbers")  # fmt: skip
        if func.attr in ("format", "format_map") and isinstance(
            func.value, ast.BinOp | ast.JoinedStr | ast.Call | ast.Subscript
        ):
            self._report("format_string", node, "a text made at run time is used as a format")

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str) or id(node) in self._docstrings:
            return
        text = node.value
        if _reaches(text):
            self._report("format_string", node, f"the format field in {text[:40]!r} reaches attributes")
        elif (found := _DUNDER.search(text)) and text != "__main__":
            self._report("dunder", node, f"the text holds '{found[0][:40]}'")

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            self._attribute(name, node)
        self.generic_visit(node)

    # --- definitions and scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and self._imports.resolve(keyword.value) == "abc.ABCMeta":
                continue
            self._report(
                "metaclass",
                keyword.value,
                f"the class '{node.name}' has {keyword.arg or 'unknown'} arguments",
            )
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id == "type":
                self._report("metaclass", base, f"'{node.name}' is a metaclass")
        self._decorators(node.decorator_list)
        self.generic_visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if _is_dunder(node.name) and node.name not in allowed.DUNDER_DEFINE:
            self._report("dunder", node, f"the method '{node.name}' may not be defined")
        self._decorators(node.decorator_list)
        super()._function(node)

    def _decorators(self, decorators: list[ast.expr]) -> None:
        for decorator in decorators:
            expression = decorator.func if isinstance(decorator, ast.Call) else decorator
            dotted = self._imports.resolve(expression)
            root = expression
            while isinstance(root, ast.Attribute):
                root = root.value
            known = isinstance(root, ast.Name) and (
                root.id in allowed.DECORATORS or root.id in self._own_functions
            )
            if not (dotted or known or _is_property_part(expression)):
                self._report(
                    "decorator", decorator, f"the decorator '@{ast.unparse(decorator)[:60]}' isn't known"
                )


def _is_dunder(name: str) -> bool:
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def _is_class_of_foreign(node: ast.expr) -> bool:
    """`type(x)` of anything but self: setting on it changes what every such object does."""
    if not (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "type"
        and node.args
    ):
        return False
    return not (isinstance(node.args[0], ast.Name) and node.args[0].id == "self")


def _has_plain_beginning(node: ast.expr | None) -> bool:
    """f'sma_{n}' and 'sma_' + n begin with a letter, so the name made can't be private."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _has_plain_beginning(node.left)
    if isinstance(node, ast.JoinedStr) and node.values:
        return _has_plain_beginning(node.values[0])
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value[:1].isalpha()


def _is_property_part(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter")


def _reaches(text: str, levels: int = 2) -> bool:
    """Whether the text, used as a format, would read attributes whose names begin with '_'.

    A field may hold fields, but those none: Python formats no deeper than these two `levels`.
    """
    if "{" not in text:
        return False
    if _OPEN_FIELD.search(text):
        return True
    try:
        fields = [(field, spec) for _, field, spec, _ in string.Formatter().parse(text) if field is not None]
    except ValueError:
        return False
    return any(
        _REACHING.search(field) or (spec and levels > 1 and _reaches(spec, levels - 1))
        for field, spec in fields
    )


def _constants(call: ast.Call) -> list[ast.Constant]:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return [value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def _docstrings(tree: ast.Module) -> set[int]:
    """Texts that stand alone as statements: they are never used."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
