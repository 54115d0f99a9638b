"""`python -m integrations.smtp.simulator [--port N]`: a mail server on loopback that prints what it takes."""

import argparse
import asyncio
import sys

from integrations.smtp.simulator.server import MailServer


async def _run(port: int) -> None:
    async with MailServer(port=port) as server:
        sys.stdout.write(f"127.0.0.1:{server.port}\n")
        shown = 0
        while True:
            sys.stdout.flush()
            await asyncio.sleep(0.2)
            for sender, to, message in server.mails[shown:]:
                sys.stdout.write(f"{sender} → {to}: {message['Subject']}\n{message.get_content()}\n")
                shown += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="smtp simulator")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_run(parser.parse_args().port))
