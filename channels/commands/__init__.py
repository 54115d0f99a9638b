"""Commands of `mutirao` that have a file of their own, and what they share.

Each file has one `add_to(cli, run)`, which channels/terminal.py calls.
"""

from collections.abc import Awaitable, Callable, Sequence

from channels.services import Services
from core.tenancy import Identity, Role

Run = Callable[[Callable[[Services], Awaitable[int | None]]], None]
"""Opens the house, does the work in it, and ends the process with the number that the work returned, or 0."""


async def admin_of(services: Services, tenant: str | None) -> Identity:
    """The Admin of a tenant (slug or id; None: the only one): who the terminal speaks as when no role is asked for."""
    return await services.people.identity_by_role((await services.people.tenant(tenant)).id, Role.ADMIN)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str]) -> list[str]:
    """Columns under one another, `align` left or right for each, with two spaces between them."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = []
    for row in [columns, *rows]:
        cells = zip(row, widths, align, strict=True)
        lines.append("  ".join(c.rjust(w) if a == "right" else c.ljust(w) for c, w, a in cells).rstrip())
    return lines
