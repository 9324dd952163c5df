"""Runs random faults against a live stack and tells what broke."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service.domain.states import FINISHED, JobState
from tests.chaos.faults import EMBEDDED, SERVERS
from tests.chaos.invariants import Audience, Truth, Watch, what_is_wrong
from tests.chaos.live_stack import RECIPES, LiveStack, live_stack, small_disk

MOST_JOBS = 4  # at once
Say = Callable[[str], None]


def run_chaos(home: Path, *, servers: bool, faults: int, seed: int, say: Say) -> Sequence[str]:
    """Do so many faults, let everything end, and list what is wrong; the seed decides all choices."""
    chance, known = random.Random(seed), SERVERS if servers else EMBEDDED
    with small_disk(home / "runs", mib=1024) as has_small_disk, live_stack(home, servers=servers) as live:
        if not has_small_disk:
            known = {name: fault for name, fault in known.items() if name != "fill_disk"}
            say("no disk is filled: that needs the right to mount one")
        say("training each recipe undisturbed …")
        truth = find_truth(live)
        watch, audience = Watch(live), Audience(live)
        watch.start()
        audience.start()
        for number in range(1, faults + 1):
            keep_busy(live, chance)
            time.sleep(chance.uniform(0, 1.5))
            name = chance.choice(list(known))
            say(f"fault {number}/{faults}: {name}")
            known[name](live, chance)
        say("letting everything end …")
        live.heal()
        wrong = [] if settle(live) else ["not all jobs came to an end"]
        watch.stop()
        looks = f"{len(live.old_attempts)} looks at live attempts"
        say(f"{len(live.submitted)} jobs, {len(live.poisoned)} poisoned ones, {looks}")
        return [*wrong, *watch.wrong, *audience.list_wrong(), *what_is_wrong(live, truth)]


def find_truth(live: LiveStack) -> Truth:
    """What each recipe comes to when nobody disturbs it."""
    truth = {}
    for recipe in RECIPES:
        number = live.submit(recipe)
        assert live.wait(number) is JobState.SUCCEEDED, live.view(number)
        truth[str(recipe)] = (live.view(number)["weights_digest"], live.series(number))
    return truth


def keep_busy(live: LiveStack, chance: random.Random) -> None:
    """Submit until some jobs have not ended, and let none of them rest for ever."""
    for number in list(live.submitted)[-2 * MOST_JOBS :]:
        live.begin_again(number)
    while (
        sum(live.state(number) not in FINISHED for number in list(live.submitted)[-2 * MOST_JOBS :])
        < MOST_JOBS
    ):
        live.submit(chance.choice(RECIPES))


def settle(live: LiveStack) -> bool:
    """Wait for all jobs; those that were cancelled last are asked for again."""
    for number in list(live.submitted):
        live.heal()
        live.wait(number, seconds=300)
        live.retry_without_room()
        if live.wait(number, seconds=300) is JobState.CANCELLED:
            live.cancel_and_retry(number)
            live.wait(number, seconds=300)
    return all(live.state(number) in FINISHED for number in live.submitted)
