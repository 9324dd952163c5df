"""What commands must not import: each guard is one process, in which everything that it watches is run."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.cli.main import COMMANDS
from tests.stack import ROOT

HEAVY = ("tensorflow", "keras", "torch", "jax", "psutil")
# Runs command after command and says of each how it ended and which of the watched modules are there by then.
PROGRAM = """
import json, sys
from service.cli.main import main
for words in json.loads(sys.argv[1]):
    code = 0
    try:
        main(words)
    except SystemExit as end:
        code = end.code or 0
    watched = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    print(json.dumps({"words": words, "code": code, "imported": watched}), file=sys.stderr)
"""
CODES: Sequence[tuple[str, int]] = (
    ("submit lenet5 --gpus 2", 0),
    ("submit alexnet --dry-run", 0),
    ("submit alexnet --dry-run --gpus 3", 2),
    ("submit alexnet --dry-run --follow", 2),
    ("status", 0),
    ("status 1", 0),
    ("status 7", 3),
    ("logs 1", 0),
    ("logs 7", 3),
    ("metrics 1", 0),
    ("metrics 7", 3),
    ("cancel 1", 0),
    ("cancel 7", 3),
    ("retry 1", 0),
    ("retry 7", 3),
    ("hold 1", 0),
    ("resume 1", 0),
    ("pause 7", 3),
    ("history 7", 3),
    ("diff 1 1", 0),
    ("compare 1 1", 0),
    ("label 1 --tag ablation", 0),
    ("download 7", 3),
    ("download 1 --list", 0),
    ("audit --since 1d", 0),
    ("whoami", 0),
    ("token create --name laptop", 0),
    ("token list", 0),
    ("token revoke laptop", 0),
    ("login http://127.0.0.1:9", 1),
    ("logout", 0),
    ("web --no-open", 0),
    ("completion bash", 0),
    ("usage --since 7d --csv", 0),
    ("notify list", 0),
    ("notify remove 7", 3),
    ("notify add --mail a@b --webhook http://c", 2),
    ("notify add --webhook file:///etc/passwd", 2),
    ("notify add --on success --mail ada", 2),
    ("users set ada --max-gpus none", 0),
    ("priority 7 low", 3),
    ("gpus", 0),
    ("gpus history", 0),
    ("hosts", 0),
    ("study list", 0),
    ("study run l1-l2 --seeds 5", 2),
    ("study status", 0),
    ("study report 7", 3),
    ("list architectures", 0),
    ("dataset list", 0),
    ("dataset show nothing", 3),
    ("dataset remove nothing", 3),
    ("dataset add digits /", 4),
    ("db upgrade", 0),
    ("db check", 0),
    ("gc --dry-run", 0),
    ("doctor", 1),
    ("run nonet", 2),
    ("describe nonet", 2),
    ("predict 7 x.png", 3),
    ("evaluate 7", 3),
    ("detect 7 x.png", 3),
    ("export 7", 3),
)
NOT_RUN = {"up", "scheduler", "worker", "api"}  # they run until they are stopped


def watch(
    home: Path, commands: Sequence[Sequence[str]], modules: Sequence[str]
) -> "tuple[str, list[Mapping[str, Any]]]":
    """Run commands in one new process; all that they print, and how each ended."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands), json.dumps(modules)],
        env={**inherited, "CNNCTL_HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """How each line of CODES ended, on one new data folder."""
    home = tmp_path_factory.mktemp("guards") / "home"
    _, ends = watch(home, [line.split() for line, _ in CODES], HEAVY)
    return {" ".join(end["words"]): end for end in ends}


@pytest.mark.parametrize(("line", "code"), CODES)
def test_no_command_imports_what_is_heavy(
    ended: Mapping[str, Mapping[str, Any]], line: str, code: int
) -> None:
    assert ended[line] == {"words": line.split(), "code": code, "imported": []}


def test_every_command_is_watched() -> None:
    assert {line.split()[0] for line, _ in CODES} | NOT_RUN == set(COMMANDS)


def test_help_names_every_command_and_does_not_even_import_the_database_library(tmp_path: Path) -> None:
    printed, (end,) = watch(tmp_path / "home", [["--help"]], [*HEAVY, "sqlalchemy"])
    assert (end["code"], end["imported"]) == (0, [])
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in printed
        assert summary in printed
    assert not (tmp_path / "home").exists()


def test_views_need_no_package_but_the_standard_library() -> None:
    names = [path.stem for path in (ROOT / "cnnctl" / "views").glob("[a-z]*.py")]
    assert names
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    program += "\n".join(f"import cnnctl.views.{name}" for name in names)
    program += "\nassert not {'service', 'workers', 'models'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
