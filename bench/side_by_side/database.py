"""A database for a process that ends without saying so: `python -m bench.side_by_side.database`.

Prints the two DSNs of a new, migrated embedded server and a folder to use, and takes all of it away when its standard
input is closed, which the end of its parent does.
"""

import sys
import tempfile
from pathlib import Path

from core.migrate import migrate
from core.postgres import Postgres


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mutirao-peer-", ignore_cleanup_errors=True) as name:
        with Postgres.start(Path(name)) as postgres:
            migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
            print(postgres.owner_dsn, flush=True)
            print(postgres.app_dsn, flush=True)
            print(name, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
