"""Lives that end: at a named place after so many passes, or at any moment."""

import contextlib
import json
import time

import httpx

from tests.chaos.world import PATHS, World

_CROWD = 400  # contacts who write, by turns
_LEADS = 5_511_988_000_000  # where the numbers of first contacts begin


def contact(number: int) -> str:
    return f"551997{number:07d}"


def kill_often(world: World, path: str, kills: int, *, patience: float = 4.0) -> None:
    """So many deaths of a process that is busy with `path`; what dies otherwise counts as "random"."""
    if path == "approval":
        propose(world, kills * 6)
    for _ in range(kills):
        place = world.random.choice([*PATHS[path], "random"])
        passes = world.random.randint(1, 3)
        world.born("" if place == "random" else f"{place}:{passes}")
        until = time.monotonic() + (world.random.uniform(0.0, min(1.2, patience)) if place == "random" else patience)
        while world.alive() and time.monotonic() < until:
            _work(world, path)
            world.gone(0.15)
        if world.kill():
            place = "random"
        world.kills[place] += 1


def _work(world: World, path: str) -> None:
    """Something to do, of this path."""
    if path == "approval":
        approve(world, 1)
    else:
        for _ in range(2):
            world.write(contact(world.random.randrange(_CROWD)))


def propose(world: World, count: int) -> None:
    """First messages to so many leads, waiting for a yes."""
    world.born()
    world.until("SELECT 1 FROM message_templates WHERE status = 'APPROVED' AND purposes @> '{first_contact}'")
    wanted = len(world.proposals) + count
    while (first := len(world.proposals)) < wanted:
        path = f"/chaos/propose/{first}-{min(first + 50, wanted)}"
        told = httpx.get(world.url + path, timeout=120, trust_env=False)
        if told.status_code != 200:
            raise RuntimeError(told.text)
        world.proposals += json.loads(told.text)
    world.kill()


def approve(world: World, count: int) -> None:
    """A person's yes to some that wait. Who gets no answer looks, and says it again if it is still asked."""
    rows = world.rows("SELECT id FROM proposals WHERE state = 'pending' ORDER BY id LIMIT %s", count)
    for row in rows:
        with contextlib.suppress(httpx.HTTPError):
            told = httpx.get(f"{world.url}/chaos/approve/{row['id']}", timeout=20, trust_env=False)
            if told.status_code != 200:
                raise RuntimeError(told.text)


def finish(world: World, seconds: float) -> float:
    """A last life, in which all that is left is done; how long that took."""
    world.born()
    while world.rows("SELECT id FROM proposals WHERE state = 'pending'"):
        approve(world, 50)
    return world.settle(seconds)


def recovery(world: World, place: str) -> float | None:
    """Seconds from a death at `place`, with everything else at rest, until all is done; None when it did not die."""
    path = next(path for path, places in PATHS.items() if place in places)
    if path == "approval":
        propose(world, 1)
    world.born(place)
    _work(world, path)
    if not world.gone(10):
        world.kill()
        return None
    world.kills[place] += 1
    began = time.monotonic()
    world.born()
    world.settle(120)
    return time.monotonic() - began
