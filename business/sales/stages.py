"""Where a sale stands, and which steps from there make sense. Code keeps the order; who talks only proposes a step."""

from enum import StrEnum


class Stage(StrEnum):
    INTRODUCTION = "introduction"  # who we are, who they are
    DISCOVERY = "discovery"  # what they need
    QUALIFICATION = "qualification"  # when, who decides, with how much
    PRESENTATION = "presentation"  # what we have for it, at which price
    OBJECTION = "objection"  # something speaks against it
    SCHEDULING = "scheduling"  # times are on the table
    CLOSE = "close"  # a meeting stands, or a person of ours closes
    NURTURE = "nurture"  # not now, perhaps later
    LOST = "lost"  # they said no for good


_ORDER = tuple(Stage)
AWAY = frozenset({Stage.NURTURE, Stage.LOST})
"""They said no, for now or for good."""
_BACK_FROM = frozenset({Stage.OBJECTION, Stage.SCHEDULING, Stage.NURTURE, Stage.LOST})
"""What one comes back from: an objection that is answered, times that did not fit, somebody who writes again."""


def may_go(before: Stage, after: Stage) -> bool:
    """Whether a conversation at `before` may be said to be at `after`: forward, away (nurture, lost), or back from
    where one comes back. A meeting that stands is only left when it is called off or for a no."""
    if before is after:
        return False
    if after in AWAY:
        return True
    if before is Stage.CLOSE:
        return after is Stage.SCHEDULING
    return _ORDER.index(after) > _ORDER.index(before) or before in _BACK_FROM
