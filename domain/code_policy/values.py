"""Ways to a place that go around its name: modules handed about as values, names in texts, the data itself."""

import ast
import string

from domain.code_policy import allowed
from domain.code_policy.scopes import Imports
from domain.code_policy.walking import Walk


class Values(Walk):
    """What may be done with values, where the rules on names and attributes don't see it."""

    def __init__(self, tree: ast.Module, imports: Imports) -> None:
        self._plain = _places_of_modules(tree)
        super().__init__(tree, imports)

    # --- modules

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and not self._is_local(node.id):
            self._module_as_value(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self._module_as_value(node)
        if node.attr == "base" and _from_data(node.value):
            self._report(
                "engine_internals", node, "'base' of the data is the whole of it, the future included"
            )
        if (self._imports.resolve(node) or "").startswith("pandas.options.plotting"):
            self._report("import", node, "'pandas.options.plotting' imports modules by name")
        self.generic_visit(node)

    def _module_as_value(self, node: ast.Name | ast.Attribute) -> None:
        dotted = self._imports.resolve(node)
        if dotted in allowed.MODULES and id(node) not in self._plain:
            self._report(
                "module_attribute",
                node,
                f"the module '{dotted}' is handed on as a value",
                instead="hand on the function that is needed",
            )

    # --- data and the engine's own names

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load) and _from_data(node.value):
            self._report("patching", node, "the data is written to", instead="write to a copy of your own")
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            for name in _names_made(statement):
                if name in allowed.ENGINE_OWN or name.startswith(allowed.MANGLED):
                    self._report("engine_internals", statement, f"'{node.name}.{name}' belongs to the engine")
        self.generic_visit(node)

    # --- texts that become names or code

    def visit_arg(self, node: ast.arg) -> None:
        self._annotation(node.annotation)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotation(node.annotation)
        self.generic_visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._annotation(node.returns)
        super()._function(node)

    def _annotation(self, node: ast.expr | None) -> None:
        for part in ast.walk(node) if node else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and "(" in part.value:
                self._report("dynamic_code", part, "an annotation holds a call in a text: some functions run it",
                             instead="write the type alone")  # fmt: skip

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and "{" in node.value:
            for name in _fields(node.value):
                if name in allowed.FRAMES or name in allowed.HARD_MODULES or name in allowed.ENGINE_OWN:
                    self._report("format_string", node, f"a format field reaches the attribute '{name}'")

    def visit_Call(self, node: ast.Call) -> None:
        dotted = self._imports.resolve(node.func) or ""
        keywords = {keyword.arg for keyword in node.keywords}
        if dotted == "functools.wraps" and (len(node.args) > 1 or node.keywords):
            self._report("reflection", node, "'functools.wraps' with a list of names copies any attribute",
                         instead="use functools.wraps(function)")  # fmt: skip
        if dotted in ("pandas.set_option", "pandas.option_context") and any(
            isinstance(argument, ast.Constant) and "plotting" in str(argument.value) for argument in node.args
        ):
            self._report("import", node, "the option 'plotting.backend' imports modules by name")
        if isinstance(node.func, ast.Attribute):
            self._method(node.func.attr, node, keywords)
        self.generic_visit(node)

    def _method(self, name: str, node: ast.Call, keywords: set[str | None]) -> None:
        if name == "to_string" and (node.args or "buf" in keywords):
            self._report("io", node, "'to_string' writes to a file", instead="print(x.to_string())")
        elif name == "plot" and keywords & {"filename", "backend"}:
            self._report("io", node, "'plot' writes a file or imports a module",
                         instead="leave it out: plots are made outside")  # fmt: skip
        elif name == "optimize" and not self._in_main_guard:
            self._report("process", node, "'optimize' starts processes",
                         instead="move it below `if __name__ == '__main__':`")  # fmt: skip
        elif name in allowed.BY_NAME and node.args and _is_built_text(node.args[0]):
            self._report("reflection", node, f"'.{name}' with a name made at run time")


def _places_of_modules(tree: ast.Module) -> set[int]:
    """Where a module may stand: before a dot, and in `Alias = np.linalg`, which counts as an import."""
    places: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value):
                places.add(id(value))
            case ast.Assign(value=value) if all(isinstance(target, ast.Name) for target in node.targets):
                places.add(id(value))
            case ast.Call(func=ast.Name(id=name), args=[value, *_]) if name in allowed.ATTRIBUTE_FUNCTIONS:
                places.add(id(value))  # judged as an attribute
    return places


def _from_data(node: ast.expr) -> bool:
    """`self.data` and what is reached from it by attributes and indices alone."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "data"
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            return True
        node = node.value
    return False


def _names_made(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return []


def _fields(text: str) -> set[str]:
    """Attributes that the text would read if it were used as a format."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field]
    except ValueError:
        return set()
    return {part.split("[")[0] for field in fields for part in field.split(".")[1:]}


def _is_built_text(node: ast.expr) -> bool:
    """A text put together on the spot: 'to_' + 'csv', f'to_{kind}', ''.join(parts), '%s' % kind."""
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp):
        return any(
            (isinstance(side, ast.Constant) and isinstance(side.value, str)) or _is_built_text(side)
            for side in (node.left, node.right)
        )
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Constant)
        and isinstance(node.func.value.value, str)
    )
