"""Child processes that decide, for tests that kill them: `python -m tests.business.approvals.forker`.

Reads one JSON job per line, forks a child that does it with a database and an HTTP client of its own, prints the
child's pid; on the next line waits until the child is gone and prints how it ended. Forking saves the imports of
every child.
"""

import asyncio
import json
import os
import sys
from typing import Any

from business.approvals.service import Approvals
from core.clock import SystemClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Identity, Role
from tests.business.approvals.conftest import nothing_above_999
from tests.business.approvals.dials import DialHandler


async def approve(job: dict[str, Any]) -> None:
    database = Database(job["dsn"])
    await database.open()
    async with database.system() as conn:
        permissions = await Permissions.load(conn)
    handler = DialHandler(job["witness"])
    approvals = Approvals(database, permissions, SystemClock(), {handler.kind: handler}, check=nothing_above_999)
    who = Identity(job["tenant"], job["user"], Role.ADMIN, "A", "a@um.example")
    await approvals.approve(who, job["proposal"], "chat")
    await database.close()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(approve(json.loads(line)))
            finally:
                os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()  # until then the child, dead or not, keeps its pid: nobody else can be killed by it
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)


if __name__ == "__main__":
    main()
