"""robots.txt as RFC 9309 says it: groups by user agent, the longest rule wins, * and $ in paths.

Written here because the kept libraries do not stand a hostile file: urllib.robotparser knows no wildcards, and Protego
0.7 multiplies agents by rules (500 KB take it minutes). This reads a file in one pass and matches in linear time.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

PRODUCT = "mutirao"
"""Our name in robots.txt: `User-agent: mutirao`."""
MOST_BYTES = 500 * 1024
"""RFC 9309 2.5: at least as much is read."""
_MOST_RULES = 5_000
_LONGEST_RULE = 2_000


@dataclass(frozen=True)
class Robots:
    """What we may read on a host."""

    rules: tuple[tuple[str, bool], ...] = ()
    """(path pattern, allowed), the longest first; of equally long ones the one that allows."""
    crawl_delay: float = 0.0
    """Seconds between requests that the host wishes for (not in the RFC, but widely written)."""

    def allows(self, target: str) -> bool:
        """Whether the path with its query may be read. /robots.txt itself always may."""
        path = _normal(target)
        if path == "/robots.txt":
            return True
        return next((allowed for pattern, allowed in self.rules if _matches(pattern, path)), True)


EVERYTHING = Robots()
NOTHING = Robots((("/", False),))


@dataclass
class _Group:
    rules: list[tuple[str, bool]] = field(default_factory=list)
    delay: float = 0.0


def read_robots(text: str, product: str = PRODUCT) -> Robots:
    """The rules for `product`: all its groups together, else those for *, else none. Never raises."""
    ours, everyones = _Group(), _Group()
    named = False
    current: list[_Group] = []
    in_agents = False
    for line in text[:MOST_BYTES].replace("\ufeff", "").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "user-agent":
            if not in_agents:
                current, in_agents = [], True
            token = re.match(r"[a-z_-]*", value.lower())
            group = None
            if token is not None and token.group() == product.lower():
                named, group = True, ours
            elif value.startswith("*"):
                group = everyones
            if group is not None and not any(one is group for one in current):
                current.append(group)
        elif name in ("allow", "disallow"):
            in_agents = False
            if value.startswith(("/", "*", "$")) and len(value) <= _LONGEST_RULE:
                for group in current:
                    if len(group.rules) < _MOST_RULES:
                        group.rules.append((_normal(value), name == "allow"))
        elif name == "crawl-delay":
            in_agents = False
            for group in current:
                group.delay = _seconds(value)
    chosen = ours if named else everyones
    ordered = sorted(chosen.rules, key=lambda rule: (-len(rule[0]), not rule[1]))
    return Robots(tuple(ordered), chosen.delay)


def _seconds(value: str) -> float:
    return float(value) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", value) else 0.0


def _normal(path: str) -> str:
    """One writing for the same path: percent-encoding undone (RFC 9309 2.2.2), as bytes read as Latin-1."""
    kept = path.replace("%2a", "%252a").replace("%2A", "%252a").replace("%24", "%2524")  # * and $ meant as such
    return unquote_to_bytes(kept).decode("latin-1")


def _matches(pattern: str, path: str) -> bool:
    ends = pattern.endswith("$")
    first, *rest = (pattern[:-1] if ends else pattern).split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return len(path) == len(first) if ends else True
    place = len(first)
    *middle, last = rest
    for part in middle:
        place = path.find(part, place)
        if place < 0:
            return False
        place += len(part)
    if ends:
        return len(path) - len(last) >= place and path.endswith(last)
    return path.find(last, place) >= 0
