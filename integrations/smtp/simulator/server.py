"""A mail server for the sandbox: takes what it is given on loopback, keeps it, fails on demand by the recipient.

Recipients: no-such@… is refused (550), later@… put off (451), lost@… is taken and the answer lost, gone@… cuts the
connection before DATA. With `password` it wants a login (AUTH PLAIN, LOGIN as smtplib does them).
"""

import asyncio
import base64
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """`mails`: (sender, recipient, message), oldest first. `async with MailServer() as server: server.port`."""

    user: str = ""
    password: str = ""
    mails: list[tuple[str, str, EmailMessage]] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "MailServer":
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        sender = to = ""
        known = not self.password
        try:
            await say("220 sandbox ESMTP")
            while line := (await reader.readline()).decode("utf-8", "replace").strip():
                verb = line.split(" ", 1)[0].upper()
                if verb == "EHLO":
                    await say("250-sandbox\r\n250-8BITMIME\r\n250 AUTH PLAIN")
                elif verb in ("HELO", "RSET", "NOOP"):
                    await say("250 ok")
                elif verb == "AUTH":
                    known = self._right(line)
                    await say("235 ok" if known else "535 5.7.8 wrong")
                elif verb == "MAIL":
                    sender = line.split(":", 1)[1].split()[0].strip("<>")
                    await say("250 ok" if known else "530 5.7.0 log in first")
                elif verb == "RCPT":
                    to = line.split(":", 1)[1].split()[0].strip("<>")
                    name = to.split("@")[0]
                    if name == "gone":
                        return
                    await say({"no-such": "550 5.1.1 no such user", "later": "451 4.3.0 later"}.get(name, "250 ok"))
                elif verb == "DATA":
                    await say("354 go on")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    body = body[:-3].replace(b"\r\n..", b"\r\n.")
                    self.mails.append((sender, to, message_from_bytes(body, policy=policy.default)))
                    if to.startswith("lost@"):
                        return
                    await say("250 taken")
                elif verb == "QUIT":
                    await say("221 bye")
                    return
                else:
                    await say("502 not here")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _right(self, line: str) -> bool:
        given = line.split(" ")[-1]
        expected = base64.b64encode(f"\0{self.user}\0{self.password}".encode()).decode()
        return given == expected
