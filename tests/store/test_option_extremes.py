"""Whatever somebody types behind any option, it is refused in words or harms nobody."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from cnnctl.fields import FIELDS
from service.cli.main import COMMANDS, LONGEST_WORD, main
from service.cli.param_types import FilePath, FiniteFloat
from service.commands.fleet.gpus import list_gpu_views
from service.commands.jobs.job_list import list_job_page
from service.commands.people.usage import list_usage_views
from service.commands.people.users import list_user_views
from service.dispatch.dispatcher import Dispatcher
from service.domain.bounds import OPTIONS
from service.scheduler.loop import Scheduler
from service.settings import Settings
from service.store.transaction import Store
from tests.properties import examples

Run = Callable[..., Result]

# What a command needs besides the option that is tried; others get the number of a job.
NEEDED = {
    "submit": ["softmax", "--dataset=synthetic"],
    "list": ["fields"],
    "diff": ["1", "1"],
    "status": ["1"],
    "describe": ["softmax"],
    "gc": ["--dry-run"],
    "priority": ["1", "low"],
    "predict": ["1", __file__],
    "detect": ["1", __file__],
    "users set": ["ada"],
    "dataset add": ["pets", "/nowhere"],
    "notify add": ["--mail=ada@example.org"],
    "gpus drain": ["gpu01:0"],
    "gpus undrain": ["gpu01:0"],
    "gpus quarantine": ["gpu01:0", "--reason=hot"],
    "gpus release": ["gpu01:0"],
    "hosts remove": ["gpu01"],
    "study extend": ["1", "--seeds=9"],
    "token create": ["--name=laptop"],
}
# These run for long; `run` submits as `submit` does.
LONG = {"up", "scheduler", "worker", "api", "login", "run"}
# Only what is known is found: numbers of jobs, hooks and tokens, names of networks, hosts, GPUs and files.
LOOKED_UP = {
    "job",
    "jobs",
    "hook",
    "token",
    "architecture",
    "name",
    "gpu",
    "gpus",
    "names",
    "assignments",
    "like",
}
LOOKED_UP |= {"dataset", "what", "url", "first", "second", "tag", "tags", "untags", "label", "note", "text"}
LOOKED_UP |= {"network", "owner", "like", "study", "scale"}

DatasetPath = tuple[str, click.Parameter]


def all_places() -> Iterator[DatasetPath]:
    """Every command with each of its parameters that is a number, a text, a moment or a path."""

    def walk(name: str, command: click.Command) -> Iterator[DatasetPath]:
        for parameter in command.params:
            if not isinstance(parameter.type, (click.types.BoolParamType, click.Choice)):
                yield name, parameter
        for inner, one in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {inner}", one)

    for name, (module, _) in COMMANDS.items():
        yield from walk(name, importlib.import_module(module).command)


PLACES = list(all_places())
SHORT_PLACES = [(name, parameter) for name, parameter in PLACES if name not in LONG]


def option_of(parameter: click.Parameter) -> str:
    return next((name for name in parameter.opts if name.startswith("--")), parameter.human_readable_name)


def words_for(name: str, parameter: click.Parameter, value: str) -> list[str]:
    """A command line in which a parameter has this value, and all others one that is fine."""
    arguments = [p.name for command, p in PLACES if command == name and isinstance(p, click.Argument)]
    needed = NEEDED.get(name, ["1"] if arguments else [])
    options = [word for word in needed if word.startswith("--") and parameter.name != "webhook"]
    places = [word for word in needed if not word.startswith("--")]
    if isinstance(parameter, click.Option):
        places = [] if name == "status" else places  # its options are about the list
        return [*name.split(), *places, *options, f"{parameter.opts[0]}={value}"]
    places[arguments.index(parameter.name)] = value
    return [*name.split(), *options, "--", *places]


@pytest.fixture
def run(
    store_url: str, add_host: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run a command on the store, for which `gpu01` has one GPU."""
    add_host(gpus=1)
    monkeypatch.setenv("CNNCTL_HOME", str(tmp_path))
    if not store_url.startswith("sqlite"):
        monkeypatch.setenv("CNNCTL_DATABASE_URL", store_url)
    return lambda words: CliRunner().invoke(main, words)


def test_every_number_and_text_has_bounds_or_is_looked_up() -> None:
    spec = {path.replace(".", "__") for path in FIELDS.values()}
    free = {
        f"{name} {option_of(parameter)}"
        for name, parameter in PLACES
        if not isinstance(parameter.type, (FilePath, FiniteFloat)) and parameter.name not in spec | LOOKED_UP
        if option_of(parameter) not in OPTIONS
    }
    assert not free
    assert {option_of(parameter) for _, parameter in PLACES} | {"NAME"} >= set(OPTIONS)


def beyond(name: str, parameter: click.Parameter) -> Iterator[list[str]]:
    """Values that lie outside of an option's bounds."""
    bound = OPTIONS[name]
    if name == "--after":
        yield ["--after=1"] * (int(bound.most) + 1)
    elif name in ("--not-before", "--since", "--ended-since", "--expires"):
        yield [f"{name}={bound.most + 1:.0f}d"]
    elif name == "--input":
        yield [f"--input={bound.most + 1:.0f}x9x1"]
    elif parameter.type is click.STRING:
        yield [f"{name}={'x' * (int(bound.most) + 1)}"]
    elif name.startswith("--max-"):  # whose type knows no sign
        yield [f"{name}={bound.most + 1:.0f}"]
    else:
        yield from ([f"{name}={value}"] for value in (f"{bound.most * 2 + 1:.0f}", f"{bound.least - 1:.0f}"))


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"NAME"}))
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_what_lies_beyond_its_bounds_is_refused_with_the_reason(run: Run, name: str) -> None:
    command, parameter = next((c, p) for c, p in PLACES if option_of(p) == name)
    for words in beyond(name, parameter):
        done = run([*words_for(command, parameter, "")[:-1], *words])
        assert done.exit_code == 2, done.output
        assert OPTIONS[name].why in done.output


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_no_name_of_a_person_and_no_word_at_all_is_endless(run: Run) -> None:
    assert OPTIONS["NAME"].why in run(["users", "set", "x" * 101]).output
    done = run(["gpus", "drain", "x" * (LONGEST_WORD + 1)])
    assert (done.exit_code, "no path is longer" in done.output, len(done.output) < 400) == (2, True, True)


ODD = [
    "",
    "\udce9",
    "a\udce9b",
    "x" * 3000,
    "x" * 100_000,
    "a\x1b]0;owned\x07",
    "a\nb",
    "\u202e",
    "²",
    "１２",
]
NUMBERS = ["0", "-1", *map(str, (2**31 - 1, 2**31, 2**63)), "9" * 400, "9" * 5000, "nan", "-inf", "1e308"]
MOMENTS = [
    *("0001-01-01", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59.999999", "9999-12-31T23:59-14:00"),
    *("0s", "3650d", "99999999999w", "9" * 400 + "w", "1900-01-01"),
]


@pytest.mark.property
@example_settings(
    deadline=None,
    max_examples=examples(600, few=40),
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(place=st.sampled_from(SHORT_PLACES), value=st.sampled_from([*ODD, *NUMBERS, *MOMENTS]))
def test_the_extremes_of_every_option_are_refused_in_words_or_harm_nobody(
    store: Store, settings: Settings, run: Run, place: DatasetPath, value: str
) -> None:
    name, parameter = place
    done = run(words_for(name, parameter, value))
    assert isinstance(done.exception, SystemExit | None), repr(done.exception)
    assert done.exit_code in (0, 1, 2, 3, 4, 5)
    assert not [letter for letter in done.output if letter < " " and letter not in "\n\t"]
    assert "Traceback" not in done.output
    Scheduler(store, settings, Dispatcher(settings)).tick()
    list_job_page(store, limit=3)
    list_user_views(store)
    list_gpu_views(store, settings)
    list_usage_views(store)
