"""`python -m integrations.minha_receita.simulator --dir DIR [--port N | --socket FD] [--no-privacy]`"""

import argparse

from integrations.minha_receita.simulator.wire import Registry
from integrations.sandbox_http import Responder, main


def _build(asked: argparse.Namespace) -> Responder:
    return Registry(privacy=not asked.no_privacy).respond


if __name__ == "__main__":
    main(
        "minha_receita",
        _build,
        (
            "--no-privacy",
            {"action": "store_true", "help": "tell e-mails and sole traders' addresses, as a server of one's own may"},
        ),
    )
