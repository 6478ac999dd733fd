"""The shape of functions/: who imports whom, how large things are, and what no module may do."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
MAX_FLOORS = 9
MAX_MODULE_LINES = 340
MAX_FUNCTION_LINES = 45

BELOW_HANDLERS = {
    "schemas",
    "credits",
    "images",
    "webhooks",
    "events",
    "task_queue",
    "task_sweep",
    "store",
    "errors",
    "logs",
}
# Each package, or module outside of one, and all that it may import when it is loaded.
ALLOWED: Mapping[str, Set[str]] = {
    "errors": set(),
    "logs": set(),
    "origins": set(),
    "setting_reader": {"origins"},
    "config": {"setting_reader"},
    "store": {"errors", "logs"},
    "events": {"store"},
    "task_queue": {"waiting", "store", "logs"},
    "task_sweep": {"task_queue", "store", "logs"},
    "waiting": set(),
    "webhooks": {"events", "task_queue", "task_sweep", "waiting", "store", "errors", "logs"},
    "credits": {"events", "store", "errors", "logs"},
    "images": {"credits", "waiting", "store", "errors", "logs"},
    "schemas": {"credits", "store", "errors"},
    "reporting": {"credits", "events", "schemas", "store", "errors", "logs"},
    "ai_simulator": {"images", "store"},
    "calls": {"errors", "store"},
    "fulfillment": {"credits", "images", "task_queue", "task_sweep", "store", "errors", "logs"},
    "identity": {"waiting", "store", "errors"},
    "handlers": {"calls", "fulfillment", "identity", *BELOW_HANDLERS},
    "webhook_handlers": {"calls", "schemas", "webhooks"},
    "services": {"handlers", "fulfillment", "identity", "ai_simulator", "config", *BELOW_HANDLERS},
    "api": {"handlers", "webhook_handlers", "calls", "identity", "config", *BELOW_HANDLERS},
    "main": {"webhook_handlers", "api", "services", "handlers", "fulfillment", "webhooks", "config"},
}
# The only module of credits that other packages read; handlers and services work with the rest.
SHARED_MODULE = "credits.documents"
READERS_OF_DOCUMENTS = ("reporting", "images", "schemas", "api")


@dataclass(frozen=True)
class Arrow:
    """One import of our own: which module imports which, and whether only when a function runs."""

    importer: str
    imported: str
    is_lazy: bool


@cache
def sources() -> Mapping[str, ast.Module]:
    """Every module by its dotted name."""
    paths = [path for path in FUNCTIONS.rglob("*.py") if "venv" not in path.relative_to(FUNCTIONS).parts]
    return {_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in paths}


def _name(path: Path) -> str:
    parts = path.relative_to(FUNCTIONS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def arrows() -> list[Arrow]:
    """Every import of our own modules, but for those that only a type checker sees."""
    return [
        Arrow(name, imported, is_lazy)
        for name, tree in sources().items()
        for node, is_lazy in _imports(tree, is_lazy=False)
        for imported in _ours(node)
    ]


def _imports(node: ast.AST, is_lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, is_lazy
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, is_lazy or inside)


def _ours(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        assert node.level == 0, "imports name the package"
        whole = f"{node.module}."
        names = [whole + alias.name if whole + alias.name in sources() else str(node.module) for alias in node.names]
    yield from (name for name in names if name in sources())


def _unit(module: str) -> str:
    return module.partition(".")[0]


def units() -> Mapping[str, Set[str]]:
    """Each package or module outside of one, and what it imports when it is loaded."""
    found: dict[str, set[str]] = {_unit(name): set() for name in sources()}
    for arrow in arrows():
        if not arrow.is_lazy and _unit(arrow.importer) != _unit(arrow.imported):
            found[_unit(arrow.importer)].add(_unit(arrow.imported))
    return found


def modules() -> Mapping[str, Set[str]]:
    """Each module and what it imports when it is loaded."""
    found: dict[str, set[str]] = {name: set() for name in sources()}
    for arrow in arrows():
        # A package's own modules are its parts: its face imports them, and they never import their face.
        if not arrow.is_lazy:
            found[arrow.importer].add(arrow.imported)
    return found


def floor_of(name: str, graph: Mapping[str, Set[str]], above: tuple[str, ...] = ()) -> int:
    """How many imports are between it and the ground; fails on a circle."""
    assert name not in above, f"circle: {' -> '.join((*above, name))}"
    return max((1 + floor_of(below, graph, (*above, name)) for below in graph[name]), default=0)


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_arrows_go_down_only() -> None:
    """Each package imports nothing but what the design lets it."""
    upwards = {name: sorted(imported - ALLOWED[name]) for name, imported in units().items() if imported - ALLOWED[name]}
    assert upwards == {}
    assert units().keys() == ALLOWED.keys()


def test_there_is_no_circle() -> None:
    """Not between packages, and not between modules."""
    for graph in (units(), modules()):
        for name in graph:
            floor_of(name, graph)


def test_there_are_at_most_nine_floors() -> None:
    """From main down to errors."""
    floors = {name: floor_of(name, units()) for name in units()}
    assert max(floors.values()) + 1 <= MAX_FLOORS, floors
    assert floors["main"] == max(floors.values())


def test_reports_are_loaded_only_when_they_are_needed() -> None:
    """Nothing but reporting itself imports it when it is loaded; a purchase does not pay for it."""
    loaded = [arrow for arrow in arrows() if _unit(arrow.imported) == "reporting" and not arrow.is_lazy]
    assert {_unit(arrow.importer) for arrow in loaded} <= {"reporting"}
    lazy = {_unit(arrow.importer) for arrow in arrows() if _unit(arrow.imported) == "reporting" and arrow.is_lazy}
    assert "services" in lazy


def test_other_packages_read_the_stored_shapes_of_credits_and_nothing_else() -> None:
    """Only credits writes balances, and only handlers and services work with its ledger."""
    imported = {
        arrow.imported
        for arrow in arrows()
        if _unit(arrow.importer) in READERS_OF_DOCUMENTS and _unit(arrow.imported) == "credits"
    }
    assert imported == {SHARED_MODULE}


def test_the_store_knows_no_business_word() -> None:
    """Of ours it imports the errors and the logs; it names neither credits nor images."""
    assert units()["store"] <= {"errors", "logs"}
    for name, tree in sources().items():
        if _unit(name) == "store":
            words = {node.id.lower() for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert not [word for word in words if "credit" in word or "image" in word or "ledger" in word], name


def test_no_private_attribute_of_a_library_is_used() -> None:
    """A private name belongs to its own class; the next version of a library may not have it."""
    found = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (node.attr.startswith("__") and node.attr.endswith("__"))
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert found == []


def test_no_private_name_is_imported() -> None:
    """Neither of a library nor of another module of ours."""
    found = [
        f"{name}: {alias.name}"
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        for part in (alias.name, *(node.module or "").split("."))
        if re.match("_(?!_)", part)
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(sources()))
def test_no_module_is_too_long(name: str) -> None:
    """As a smell: look again before you raise a limit."""
    tree = sources()[name]
    path = FUNCTIONS.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES
    too_long = {
        node.name: length
        for node in functions_of(tree)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert too_long == {}


def test_main_loads_no_report_no_picture_library_and_no_real_model() -> None:
    """They cost a cold start that no purchase should pay."""
    command = [sys.executable, "-c", "import json, sys, main; print(json.dumps([*sys.modules]))"]
    env = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin"}
    done = subprocess.run(command, cwd=FUNCTIONS, env=env, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "credits.ledger" in loaded
    assert not {name for name in loaded if _unit(name) in ("reporting", "PIL", "scipy", "numpy")}
    assert "google.cloud.storage" not in loaded
    assert "standardwebhooks" not in loaded
    assert not loaded & {"images.provider", "images.gemini", "images.openai"}


def test_a_purchase_whose_picture_has_a_url_loads_neither_pillow_nor_the_bucket() -> None:
    """A simulated one: its picture is drawn by another function, when it is opened."""
    buying = (
        "import json, sys, handlers; from calls import Call, Caller; from store import NO_DEADLINE;"
        "from schemas.requests import GenerationOrder; from tests.support.builders import ORDER, Backend;"
        "backend = Backend(); backend.add_user();"
        "order = GenerationOrder.model_validate(ORDER);"
        "handlers.create_generation_request(order, Call(Caller('ann'), NO_DEADLINE), backend.services);"
        "handlers.release_expired_reservations(backend.services);"
        "print(json.dumps([*sys.modules]))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (FUNCTIONS, FUNCTIONS.parent)))}
    done = subprocess.run([sys.executable, "-c", buying], env=env, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not {name for name in loaded if name in ("PIL", "google.cloud.storage", "images.pictures", "images.storage")}


def test_nothing_sets_an_environment_variable() -> None:
    """An emulator's host least of all: whether the data is real is decided outside of the code."""
    found = []
    for name, tree in sources().items():
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
            if isinstance(node, ast.AugAssign | ast.AnnAssign):
                targets = [node.target]
            written = [ast.unparse(each.value) for each in targets if isinstance(each, ast.Subscript)]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, method = ast.unparse(node.func.value), node.func.attr
                if method in ("setdefault", "update", "pop", "clear", "__setitem__"):
                    written.append(owner)
                if method in ("putenv", "unsetenv"):
                    written.append("os.environ")
            found += [f"{name}:{node.lineno}" for owner in written if "environ" in owner]  # type: ignore[attr-defined]
    assert found == []


def test_only_tokens_are_held_against_this_machines_clock() -> None:
    """Clocks of instances differ, so every other "now" is the database's (Document.read_at, Store.now, COMMIT_TIME)."""
    clock = re.compile(r"(datetime|date)\.(now|utcnow|today)|time\.time(_ns)?")
    found = {
        name
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and clock.fullmatch(ast.unparse(node))
    }
    assert found == {"api.firebase_tokens"}


def test_every_test_folder_is_a_package() -> None:
    """So that two files may have the same name."""
    tests = FUNCTIONS.parent / "tests"
    folders = {path.parent for path in tests.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_nothing_patches_the_import_path() -> None:
    """pyproject.toml says where our modules are, for tests, scripts and type checks."""
    root = FUNCTIONS.parent
    places = [path for folder in ("functions", "tests", "scripts", "dev") for path in (root / folder).rglob("*.py")]
    patch = re.compile(r"sys\.path(\.(insert|append|extend)|\[.*\]\s*=|\s*\+?=[^=])|addsitedir")
    patched = [
        str(path)
        for path in places
        if "venv" not in path.parts and path != Path(__file__) and patch.search(path.read_text(encoding="utf-8"))
    ]
    assert patched == []
