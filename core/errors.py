"""The few kinds of failure the system knows, each with one handler.

Every error has a `code`, which finds its sentence for people in `prompts/texts/<language>.yaml`
(key `error.<code>`), and `params` that fill the sentence. `str(error)` is English and is for logs
and for models. Anything that is not one of these kinds is a bug: logged with an id, and told to the
user in one calm sentence.
"""

from typing import Any


class MutiraoError(Exception):
    """A failure with a name. `retry_after` is in seconds, None when waiting does not help."""

    retry_after: float | None = None

    def __init__(self, code: str, message: str = "", /, **params: Any) -> None:
        self.code = code
        self.params = params
        super().__init__(message or code)


class ArgumentsWrong(MutiraoError):
    """The caller can mend it: a wrong argument, an unknown name, an impossible date."""


class Refused(MutiraoError):
    """Final: not allowed for this role, tenant, policy or state of the world."""


class OutcomeUnknown(MutiraoError):
    """A write left and its answer was lost. Look before doing anything again."""


class Unavailable(MutiraoError):
    """An outside system or a server of ours cannot be reached or asks us to wait."""


class SetupError(MutiraoError):
    """The machine or the settings are not right. One sentence says what, one says what to do."""
