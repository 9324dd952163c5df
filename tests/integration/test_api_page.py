"""The examples of docs/api.md, typed in a shell, answer what the page says."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers import find_free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
CNNCTL = [sys.executable, "-m", "service.cli.main"]
ENDED = "ended with "
TIME_IS_UP = 28  # of curl, where the page listens for a while


def read_examples() -> list[tuple[str, str]]:
    """Each command of the page with what it answers; `…` stands for anything."""
    blocks = re.findall(r"(?:^    .*\n)+", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    text = re.sub(r"^    ", "", "".join(blocks), flags=re.MULTILINE)
    return [
        (one.partition("\n")[0], one.partition("\n")[2]) for one in re.split(r"^\$ ", text, flags=re.M)[1:]
    ]


@pytest.fixture
def served(golden: Path, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of an API over the jobs of an older cnnctl."""
    with closing(sqlite3.connect(golden / "cnnctl.db")) as database:
        (old,) = database.execute("SELECT rtrim(run_dir, '0123456789/') FROM attempts").fetchone()
        for column in ("attempts.run_dir", "attempts.model_path", "checkpoints.path"):
            table, _, name = column.partition(".")
            database.execute(f"UPDATE {table} SET {name} = replace({name}, ?, ?)", (old, f"{golden}/runs"))
        database.commit()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    environment = {**clean, "PYTHONPATH": str(ROOT), "CNNCTL_SOCKET": str(tmp_path / "api.sock")}
    own = {"CNNCTL_HOME": str(golden), "CNNCTL_API_ADDRESS": f"127.0.0.1:{find_free_port()}"}
    subprocess.run([*CNNCTL, "db", "upgrade"], env={**environment, **own}, check=True, capture_output=True)
    process = subprocess.Popen([*CNNCTL, "api"], env={**environment, **own}, stderr=subprocess.DEVNULL)
    wait_until(lambda: Path(environment["CNNCTL_SOCKET"]).exists())
    yield {**environment, "ADDRESS": own["CNNCTL_API_ADDRESS"]}
    process.terminate()
    process.wait(timeout=30)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_every_example_answers_what_the_page_says(served: Mapping[str, str], tmp_path: Path) -> None:
    examples = read_examples()
    assert len(examples) > 12
    lines = [f'{command}; printf "\\n{ENDED}%s\\n" $?' for command, _ in examples]
    script = "\n".join([f'cnnctl() {{ {" ".join(CNNCTL)} "$@"; }}', *lines])
    script = script.replace("/run/cnnctl/api.sock", served["CNNCTL_SOCKET"])
    script = script.replace("https://gpu01.lab:8433", f"http://{served['ADDRESS']}")
    done = subprocess.run(
        ["bash", "-c", script], env=served, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    answers = re.split(rf"{ENDED}(\d+)\n", done.stdout)[:-1]
    for (command, said), answer, code in zip(examples, answers[::2], answers[1::2], strict=True):
        assert int(code) in (0, TIME_IS_UP), (command, answer, done.stderr)
        anything = ".*".join(re.escape(part) for part in said.strip().split("…"))
        assert re.match(anything, answer.strip(), re.DOTALL), (command, said, answer)
