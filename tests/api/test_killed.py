"""An API that is killed at any moment and started again does each act of its clients once."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from cnnctl.views.requests import SubmissionRequest
from tests.api.conftest import Api

CLIENTS, SEED = 4, 16
LONGEST_PAUSE_SECONDS = 0.03  # of a few submissions, so that a kill comes at any point of one


@pytest.mark.parametrize(
    ("submissions", "kills"), [(60, 3), pytest.param(1000, 40, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_each_submission_is_done_once_though_the_api_is_killed(
    make_api: Callable[..., Api], submissions: int, kills: int
) -> None:
    api = make_api(CNNCTL_API_RATE="1000")
    answered: dict[int, str] = {}

    def submit(name: str) -> None:
        request = SubmissionRequest(architecture="softmax", name=name, fields={"data.dataset": "synthetic"})
        answered[api.client().submit(request).job] = name

    names = [f"j{number}" for number in range(submissions)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(submit, name) for name in names]
        kill_at_random(api, kills, submissions=submissions, count_done=lambda: len(answered))
        wait(clients)
    for client in clients:
        client.result()
    stored = [(job.job, job.name) for job in api.client().list_jobs(limit=1000).items]
    assert sorted(name for _, name in stored) == sorted(names)
    assert dict(stored) == answered  # each client was told the number of its own job


def kill_at_random(api: Api, kills: int, *, submissions: int, count_done: Callable[[], int]) -> None:
    """Kill it at moments that are spread over all submissions, however fast these are."""
    chance = random.Random(SEED)
    for _ in range(kills):
        mark = count_done() + chance.randint(1, submissions // kills - CLIENTS)
        while count_done() < mark:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
        api.kill()
        api.start()
