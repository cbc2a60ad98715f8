"""The architecture as a test: who may import whom, what an import costs, who may compile, what a figure has."""

import ast
import functools
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import optlab
import optlab_kernels
from optlab import gallery

OPTLAB, KERNELS = Path(optlab.__file__).parent, Path(optlab_kernels.__file__).parent
# From the bottom up: a module imports from rows below its own, and within its own part. A new part gets its place here.
LAYERS = (
    {"optlab_kernels"},
    {"errors", "streams"},
    {"interrupt", "lazy", "plain", "spreadsheet"},
    {"checks", "compiling", "containers", "files", "locks", "verdict"},
    {"states"},
    {"autograd", "surfaces", "data", "schedules"},
    {"optim", "nn"},
    {"descent", "train", "search"},
    {"optlab"},  # the facade: `import optlab as ol`
    {"objectives", "integrations", "viz", "health", "sklearn"},
    {"gallery", "bench"},
    {"cli"},
    {"__main__"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# What a method such as `Run.plot` imports when it is called.
LATER = {
    ("nn", "train"),
    ("descent", "viz"),
    ("data", "viz"),
    ("schedules", "viz"),
    ("train", "viz"),
    ("search", "viz"),
    ("search", "integrations"),
}


def module_name(path):
    root = OPTLAB if path.is_relative_to(OPTLAB) else KERNELS
    return ".".join((root.name, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")


def part_of(module):
    """``optlab.viz.style`` -> viz; the package itself is the facade."""
    first, *rest = module.split(".")
    return rest[0] if first == "optlab" and rest else first


class Imports(ast.NodeVisitor):
    """(module, name or None, whether inside a function) of every import but those for the type checker."""

    def __init__(self):
        self.found, self.depth = [], 0

    def visit_If(self, node):
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_FunctionDef(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Import(self, node):
        self.found += [(alias.name, None, self.depth > 0) for alias in node.names]

    def visit_ImportFrom(self, node):
        assert node.level == 0, "imports are absolute"
        self.found += [(node.module, alias.name, self.depth > 0) for alias in node.names]


def imports(path):
    visitor = Imports()
    visitor.visit(tree(path))
    return visitor.found


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def target_of(module, name):
    """The part an import reaches: ``from optlab import gallery`` reaches the gallery, not the facade."""
    if module == "optlab" and name is not None and ((OPTLAB / name).is_dir() or (OPTLAB / f"{name}.py").exists()):
        return name
    return part_of(module)


FILES = sorted([*OPTLAB.rglob("*.py"), *KERNELS.rglob("*.py")])
EVERY_FILE = pytest.mark.parametrize("path", FILES, ids=map(module_name, FILES))


@EVERY_FILE
def test_imports_go_down(path):
    here = part_of(module_name(path))
    assert here in LEVEL, f"{here} has no place in LAYERS"
    for module, name, later in imports(path):
        if module.split(".")[0] not in ("optlab", "optlab_kernels"):
            continue
        target = target_of(module, name)
        allowed = here == target or LEVEL[target] < LEVEL[here] or (later and (here, target) in LATER)
        assert allowed, f"{module_name(path)} ({here}) imports {module} ({target})"


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(KERNELS)], ids=module_name)
def test_kernels_need_numpy_and_numba_only(path):
    tops = {module.split(".")[0] for module, *_ in imports(path)}
    assert tops <= {"numpy", "numba", "optlab_kernels", *sys.stdlib_module_names}


def test_the_facade_imports_nothing_of_its_own():
    first = {module for module, _, later in imports(OPTLAB / "__init__.py") if not later}
    assert {module.split(".")[0] for module in first - {"optlab.lazy"}} <= set(sys.stdlib_module_names)


HEAVY = ("numba", "scipy", "matplotlib", "PIL", "torch", "jax", "pandas", "rich", "optlab_kernels")


@pytest.mark.parametrize("statement", ["import optlab", "import optlab.cli", "import optlab.errors, optlab.verdict"])
def test_an_import_loads_nothing_heavy(statement):
    """In a fresh process; modules the interpreter itself started with do not count."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert "optlab" in loaded
    assert not loaded & set(HEAVY)


def test_every_name_of_the_facade_is_there():
    assert optlab.__all__ == dir(optlab)
    for name in optlab.__all__:
        assert getattr(optlab, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'adam'"):
        optlab.adam  # noqa: B018


COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "generated_jit"}


def compiles(path):
    """Numba's own compiling decorators in a file, by attribute or by import."""
    attributes = {
        node.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("numba", "nb")
    }
    imported = {name for module, name, _ in imports(path) if module.split(".")[0] == "numba"}
    return (attributes | imported) & COMPILERS


def keywords(path, name):
    return [k for node in ast.walk(tree(path)) if isinstance(node, ast.Call) for k in node.keywords if k.arg == name]


def test_one_file_compiles():
    assert [module_name(path) for path in FILES if compiles(path)] == ["optlab_kernels.jit"]


def test_one_file_has_fast_math_flags():
    assert [module_name(path) for path in FILES if keywords(path, "fastmath")] == []
    flagged = [path for path in FILES if keywords(path, "flags")]
    assert [module_name(path) for path in flagged] == ["optlab_kernels.reductions"]
    assert {ast.unparse(k.value) for k in keywords(flagged[0], "flags")} == {"('reassoc', 'nsz')"}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_print_no_assert_no_machine_path(path):
    """A user's mistake is an error with a message (`x is not None` is for mypy); only entry points write to stdout."""
    nodes = list(ast.walk(tree(path)))
    asserted = [ast.unparse(node.test) for node in nodes if isinstance(node, ast.Assert)]
    assert all(test.endswith("is not None") for test in asserted)
    prints = any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print" for n in nodes)
    assert not prints or part_of(module_name(path)) in ("gallery", "bench", "cli")
    text = path.read_text(encoding="utf-8")
    assert not any(root in text for root in ("/home/", "/Users/"))


@pytest.mark.parametrize("id", gallery.ids())
def test_a_figure_has_what_a_figure_needs(id):
    module = gallery.figure(id)
    assert module.__doc__
    assert isinstance(module.TITLE, str)
    assert isinstance(module.SOURCE, str)
    for name, arguments in {"run": ["setup"], "judge": ["data"], "draw": ["data", "out"]}.items():
        function = getattr(module, name)
        assert list(inspect.signature(function).parameters) == arguments
        assert function.__module__ == module.__name__


# Who turns a name or bytes into code, and from where: SECURITY.md has a row for each.
LOADERS = {
    "import_module": {
        "optlab.lazy",  # the facade's own names
        "optlab.gallery",  # figures, by the names of their files
        "optlab.data.catalogue",  # data sets, from a table in the source
        "optlab.search.sampler",  # samplers, from a table in the source
        "optlab.search.functions",  # the user's functions, by names that the user gave in this call
    },
    "loads": {  # pickles
        "optlab_kernels.cache",  # the compiled-code cache
        "optlab.search.worker",  # what a driver hands to workers that it started
        "optlab.integrations.dask",  # what a driver hands to its cluster
    },
    "eval": set(),
    "exec": set(),
    "__import__": set(),
    "Unpickler": set(),
}
PLAIN = {"json", "tomllib"}  # their loads makes values


def called(path, name):
    """Calls of ``name`` or ``x.name`` with something else than a text of the source."""
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or (node.args and isinstance(node.args[0], ast.Constant)):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == name:
            yield node
        elif isinstance(function, ast.Attribute) and function.attr == name:
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            if owner not in PLAIN and not (name in ("eval", "exec") and owner):  # model.eval() is a mode
                yield node


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.fault(31)
def test_names_and_pickles_become_code_in_known_places_only(name):
    places = {module_name(path) for path in FILES if part_of(module_name(path)) != "bench" and any(called(path, name))}
    passed_on = {"optlab.integrations.dask"} if name == "loads" else set()  # to be called on the cluster
    assert places | passed_on == LOADERS[name]
    for path in FILES:
        assert all(ast.unparse(k.value) == "False" for k in keywords(path, "allow_pickle"))
