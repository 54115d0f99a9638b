"""The control of a simulator of public sources, for the tests of their clients."""

import json
from typing import Any

import httpx

from integrations.sandbox_http import Launched


class Control:
    """A simulator's own endpoints: what goes wrong next, and what was asked."""

    def __init__(self, launched: Launched) -> None:
        self.url = launched.base_url
        self._http = httpx.Client(base_url=launched.base_url, verify=False)  # loading certificates costs 0.1 s

    def fail(self, kind: str, **more: Any) -> None:
        self._http.post("/__faults", json={"faults": [{"kind": kind, **more}]}).raise_for_status()

    def answer(self, body: Any, status: int = 200, **more: Any) -> None:
        """The next request gets this body, word by word when it is a text."""
        self.fail("answer", status=status, body=body if isinstance(body, str) else json.dumps(body), **more)

    def heal(self) -> None:
        self._http.delete("/__faults").raise_for_status()
        self._http.delete("/__requests").raise_for_status()

    def asked(self) -> list[dict[str, str]]:
        """The requests since the last `heal`: method, path, query, agent."""
        return list(self._http.get("/__requests").json()["last"])

    def close(self) -> None:
        self._http.close()
