"""The simulated sites over HTTP and HTTPS on one port of loopback: the first byte says which.

Control, for tests and evals, at the loopback address itself (no site has it as its name):
GET /__health              {"ready", "pid", "name"}
GET|DELETE /__requests     {"count", "last": [{"host", "path", "secure", "agent", "cookie"}]}, the newest 500

Certificates are made for each name as it is asked for, by an authority of the folder's own (`ca.pem`).
"""

import asyncio
import contextlib
import datetime
import json
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations.web_pages.simulator import sites
from integrations.web_pages.simulator.hostile import PAGES, ZONE, Hostile
from integrations.web_pages.simulator.sites import Served

_REASONS = {200: "OK", 301: "Moved Permanently", 404: "Not Found", 503: "Service Unavailable"}


class Authority:
    """Signs a certificate for every name. It stays the same over restarts, so that those who trust it still can: its
    key is in `folder/authority.pem`, its certificate in `folder/ca.pem`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mutirao sandbox: simulated sites only")])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key = self._kept_key()
        if not (folder / "ca.pem").exists():
            fresh = folder / "ca.pem.new"
            fresh.write_bytes(self._sign(self._name, self._key, None).public_bytes(serialization.Encoding.PEM))
            fresh.replace(folder / "ca.pem")

    def _kept_key(self) -> ec.EllipticCurvePrivateKey:
        path = self._folder / "authority.pem"
        if path.exists():
            kept = serialization.load_pem_private_key(path.read_bytes(), None)
            if isinstance(kept, ec.EllipticCurvePrivateKey):
                return kept
        key = ec.generate_private_key(ec.SECP256R1())
        (self._folder / "ca.pem").unlink(missing_ok=True)  # it was another key's
        _write_secret(path, _pem(key))
        return key

    def context(self) -> ssl.SSLContext:
        """For the server: shows each caller the certificate of the name that it asks for."""
        first = self._context("sandbox.example")

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            asked = (name or "sandbox.example").lower()
            wrong = asked == f"wrong-certificate.{ZONE}"
            connection.context = self._context("somebody-else.example" if wrong else asked)

        first.sni_callback = choose
        return first

    def _context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
            certificate = self._sign(name, key, host)
            # The ssl module takes certificates from files only.
            bundle = self._folder / f"certificate-{os.getpid()}.pem"
            _write_secret(bundle, certificate.public_bytes(serialization.Encoding.PEM) + _pem(key))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(bundle)
            bundle.unlink()
            self._contexts[host] = context
        return self._contexts[host]

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None) -> x509.Certificate:
        today = datetime.datetime.now(datetime.UTC)
        building = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=3_650))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                    key_agreement=False, key_cert_sign=host is None, crl_sign=host is None, encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        if host is not None:
            building = building.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return building.sign(self._key, hashes.SHA256())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_secret(path: Path, content: bytes) -> None:
    """A file that only this user reads."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
    fresh.replace(path)


class Sites:
    """All simulated sites behind one listening socket."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._context = Authority(folder).context()
        sites.hosts()  # made now, so that the first caller does not wait for all companies
        self.last: list[dict[str, str | bool]] = []
        self.count = 0

    async def serve(self, server: socket.socket) -> None:
        """Until SIGTERM or SIGINT."""
        server.setblocking(False)
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop.set)
        accepting = asyncio.create_task(self._accept(server))
        await stop.wait()
        accepting.cancel()

    async def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        running: set[asyncio.Task[None]] = set()
        while True:
            connection, _ = await loop.sock_accept(server)
            task = asyncio.create_task(self._connection(connection))
            running.add(task)
            task.add_done_callback(running.discard)

    async def _connection(self, connection: socket.socket) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            connection.setblocking(False)
            async with asyncio.timeout(90):
                secure = await _first_byte(connection) == 0x16  # a TLS handshake; no HTTP method begins so
                loop = asyncio.get_running_loop()
                reader = asyncio.StreamReader(limit=70_000)
                protocol = asyncio.StreamReaderProtocol(reader)
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, connection, ssl=self._context if secure else None
                )
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(writer, head, secure)
                await writer.drain()
        except (OSError, ssl.SSLError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # callers come and go
        finally:
            if writer is not None:
                with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
                    async with asyncio.timeout(2):
                        writer.close()
                        await writer.wait_closed()
            connection.close()

    async def _answer(self, writer: asyncio.StreamWriter, head: str, secure: bool) -> None:
        first, *lines = head.split("\r\n")
        method, _, rest = first.partition(" ")
        target = rest.partition(" ")[0]
        path = target.partition("?")[0]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        host = headers.get("host", "").partition(":")[0].lower()
        if host == "127.0.0.1":
            return self._control(writer, method, path)
        self.count += 1
        asked: dict[str, str | bool] = {"host": host, "path": target, "secure": secure}
        asked |= {"agent": headers.get("user-agent", ""), "cookie": headers.get("cookie", "")}
        self.last = [*self.last[-499:], asked]
        label = host.removesuffix(f".{ZONE}")
        if label != host and label in PAGES:
            return await _misbehave(writer, PAGES[label], path)
        bare = host.removeprefix("www.")
        if bare not in sites.hosts() or sites.is_down(bare):
            writer.transport.abort()
            return None
        if not secure:
            _write(writer, Served(b"", 301, headers={"Location": f"https://{host}{target}"}))
            return None
        _write(writer, sites.serve(bare, path))
        return None

    def _control(self, writer: asyncio.StreamWriter, method: str, path: str) -> None:
        told: dict[str, object] = {"error": "no such thing"}
        if path == "/__health":
            told = {"ready": True, "pid": os.getpid(), "name": "web_pages"}
        elif path == "/__requests":
            if method == "DELETE":
                self.count, self.last = 0, []
            told = {"count": self.count, "last": self.last}
        _write(writer, Served(json.dumps(told).encode(), kind="application/json"))


async def _misbehave(writer: asyncio.StreamWriter, page: Hostile, path: str) -> None:
    if path == "/robots.txt":
        status = int(page.robots[1:]) if page.robots.startswith("!") else 200 if page.robots else 404
        rules = "" if status != 200 else page.robots
        _write(writer, Served(rules.encode(), status, "text/plain"))
    elif page.answer is not None:
        await page.answer(writer, path)


def _write(writer: asyncio.StreamWriter, served: Served) -> None:
    lines = [f"HTTP/1.1 {served.status} {_REASONS.get(served.status, '')}", f"Content-Type: {served.kind}"]
    lines += [f"Content-Length: {len(served.body)}", *(f"{name}: {value}" for name, value in served.headers.items())]
    writer.write(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("latin-1") + served.body)


async def _first_byte(connection: socket.socket) -> int:
    """Looked at and left where it is."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def come() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection, come)
    try:
        await ready
    finally:
        loop.remove_reader(connection)
    return (connection.recv(1, socket.MSG_PEEK) or b"\0")[0]


def run(folder: Path, server: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT. Says on standard output, as one JSON line, where it listens."""
    simulated = Sites(folder)
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    sys.stdout.write(json.dumps({"ready": True, "url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    asyncio.run(simulated.serve(server))
