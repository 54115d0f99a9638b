"""The gate: what a browser may reach, from where, how much, and as whom."""

import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from core.tenancy import Identity, Role
from tests.channels.conftest import HOST, Socket, Web
from tests.conftest import PASSWORD

OpenTab = Callable[..., Awaitable[Socket]]


async def test_the_root_leads_to_the_chat_and_health_says_ready(web: Web) -> None:
    async with web.browser() as browser:
        home = await browser.get("/")
        assert (home.status_code, home.headers["location"]) == (307, "/chat")
        health = await browser.get("/health")
    assert health.status_code == 200
    assert health.json() == {"live": True, "ready": True, "problems": []}


async def test_health_names_the_database_in_words_when_it_is_away(web: Web) -> None:
    await web.db.close()
    async with web.browser() as browser:
        health = await browser.get("/health")
    assert health.status_code == 503
    assert health.json()["live"] and not health.json()["ready"]
    assert "banco" in health.json()["problems"][0]


async def test_the_page_names_no_outside_host_and_runs_only_its_own_scripts(web: Web) -> None:
    async with web.browser() as browser:
        page, again = await browser.get("/chat"), await browser.get("/chat/thread/abc")
    assert page.status_code == 200
    assert '<html lang="pt-BR">' in page.text
    assert not re.findall(r"https?://(?!www\.w3\.org)", page.text)
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "unsafe-eval" not in policy
    assert re.findall(r"(?:ws|wss|http|https)://[^ ;]+", policy) == ["ws://localhost:8000", "wss://localhost:8000"]
    nonces = set(re.findall(r"nonce=\"([^\"]+)\"", page.text))
    assert len(nonces) == 1 and f"'nonce-{nonces.pop()}'" in policy
    assert policy != again.headers["content-security-policy"]
    assert all('nonce="' in script for script in re.findall(r"<script[^>]*>", page.text))


async def test_every_answer_carries_the_security_headers(web: Web) -> None:
    async with web.browser() as browser:
        for path in ("/chat", "/health", "/chat/user", "/chat/nothing", "/chat/project/translations?language=pt-BR"):
            headers = (await browser.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "no-referrer", path
            assert headers["x-frame-options"] == "DENY", path
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["cache-control"] == "no-store", path


async def test_assets_of_the_page_are_kept_by_the_browser(web: Web) -> None:
    async with web.browser() as browser:
        script = re.findall(r'src="(/chat/assets/[^"]+)"', (await browser.get("/chat")).text)[0]
        asset = await browser.get(script)
    assert asset.status_code == 200
    assert "immutable" in asset.headers["cache-control"]


async def test_the_interface_speaks_portuguese_whatever_the_browser_asks_for(web: Web) -> None:
    async with web.browser() as browser:
        words = (await browser.get("/chat/project/translations?language=en-US")).json()["translation"]
    assert words["auth"]["login"]["form"]["actions"]["signin"] == "Entrar"


async def test_a_newcomer_is_offered_what_their_role_may_ask(web: Web) -> None:
    offered = {}
    for role in (Role.ADMIN, Role.CLIENTE):
        async with web.logged_in(web.tenants.one[role]) as browser:
            settings = (await browser.get("/chat/project/settings?language=pt-BR")).json()
        offered[role] = [starter["label"] for starter in settings["starters"]]
    assert len(offered[Role.ADMIN]) == 2 and offered[Role.CLIENTE] == offered[Role.ADMIN][:1]


# --- what does not exist -----------------------------------------------------------------------

ELEMENT = {
    "id": "e1",
    "type": "custom",
    "name": "x",
    "display": "inline",
    "url": "http://169.254.169.254/latest/meta-data/",
    "path": "/etc/passwd",
}


ABSENT = [
    ("PUT", "/chat/project/element"),  # CVE-2026-22218 (path) and -22219 (url)
    ("DELETE", "/chat/project/element"),
    ("POST", "/chat/mcp"),
    ("GET", "/chat/project/share/abc"),
    ("PUT", "/chat/project/thread/share"),
    ("POST", "/chat/auth/jwt"),
    ("POST", "/chat/auth/header"),
    ("GET", "/chat/auth/oauth/github"),
    ("GET", "/chat/copilot/index.js"),
    ("POST", "/chat/slack/events"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/chat/openapi.json"),
    ("GET", "/chat/.files/x"),
    ("GET", "/etc/passwd"),
    ("GET", "/chat/avatars/..%2f..%2fsecrets"),
]


async def test_parts_of_chainlit_that_the_page_does_not_use_are_not_there(web: Web) -> None:
    async with web.logged_in(web.admin) as browser:
        for method, path in ABSENT:
            answer = await browser.request(method, path, json={"sessionId": "s", "element": ELEMENT})
            assert answer.status_code == 404, path
            assert "root:" not in answer.text


OUTSIDE = [
    "/chat/public/..%2f..%2fsecrets%2fvault.json",
    "/chat/public/%2e%2e/.chainlit/config.toml",
    "/chat/assets/..%2f..%2f..%2fserver.py",
]


async def test_no_file_outside_the_public_folders_is_served(web: Web) -> None:
    async with web.browser() as browser:
        for path in OUTSIDE:
            assert (await browser.get(path)).status_code in (400, 404), path


PRIVATE = [
    ("GET", "/chat/user"),
    ("GET", "/chat/project/settings?language=pt-BR"),
    ("POST", "/chat/project/threads"),
    ("GET", "/chat/project/thread/t1"),
    ("DELETE", "/chat/project/thread"),
    ("PUT", "/chat/project/thread"),
    ("POST", "/chat/project/action"),
    ("POST", "/chat/project/file?session_id=s"),
    ("GET", "/chat/project/file/f?session_id=s"),
    ("PUT", "/chat/feedback"),
    ("DELETE", "/chat/feedback"),
    ("GET", "/chat/data/files/f"),
    ("GET", "/chat/data/c/m/chart-0"),
    ("GET", "/chat/ws/socket.io/?EIO=4&transport=polling"),
]


async def test_nothing_is_read_or_done_without_a_login(web: Web) -> None:
    async with web.browser() as browser:
        for method, path in PRIVATE:
            assert (await browser.request(method, path, json={})).status_code == 401, path


# --- who ---------------------------------------------------------------------------------------


async def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(web: Web) -> None:
    form = {"username": web.admin.email, "password": PASSWORD}
    async with web.browser() as browser:
        plain = (await browser.post("/chat/login", data=form)).headers["set-cookie"].lower()
    async with web.browser(base="https://localhost:8000") as browser:
        behind_tls = (await browser.post("/chat/login", data=form)).headers["set-cookie"].lower()
    assert "httponly" in plain and "samesite=lax" in plain and "max-age=43200" in plain and "secure" not in plain
    assert "secure" in behind_tls and "httponly" in behind_tls


async def test_a_wrong_password_is_401_and_too_many_are_429(web: Web) -> None:
    async with web.browser() as browser:
        form = {"username": web.admin.email, "password": "errada"}
        codes = [(await browser.post("/chat/login", data=form)).status_code for _ in range(6)]
        right = await browser.post("/chat/login", data={"username": web.admin.email, "password": PASSWORD})
    assert codes == [401] * 5 + [429]
    assert right.status_code == 429  # the right password does not end the waiting


async def test_guessing_is_counted_per_address_of_the_request(web: Web) -> None:
    async with web.browser("10.0.0.7") as attacker:
        for number in range(20):
            await attacker.post("/chat/login", data={"username": f"{number}@x.example", "password": "errada"})
        form = {"username": web.admin.email, "password": PASSWORD}
        assert (await attacker.post("/chat/login", data=form)).status_code == 429
    async with web.browser("10.0.0.8") as honest:
        assert (await honest.post("/chat/login", data=form)).status_code == 200


async def test_logging_out_takes_the_cookie_away(web: Web) -> None:
    async with web.logged_in(web.admin) as browser:
        assert (await browser.get("/chat/user")).json()["display_name"] == web.admin.name
        await browser.post("/chat/logout")
        assert (await browser.get("/chat/user")).status_code == 401


async def test_a_removed_user_is_out_at_the_next_request(web: Web) -> None:
    async with web.logged_in(web.admin) as browser:
        assert (await browser.get("/chat/user")).status_code == 200
        async with web.db.tenant(web.admin.tenant_id) as conn:
            await conn.execute("update users set active = false where id = %s", (web.admin.user_id,))
        assert (await browser.get("/chat/user")).status_code == 401


async def test_a_forged_cookie_is_nobody(web: Web) -> None:
    claims = {"identifier": web.admin.user_id, "metadata": {"tenant": web.admin.tenant_id}, "exp": 4_000_000_000}
    forged = [
        "",
        "x",
        "a.b.c",
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, "another key that is long enough too", "HS256"),
    ]
    for token in forged:
        async with web.browser() as browser:
            browser.cookies.set("mutirao_session", token)
            assert (await browser.get("/chat/user")).status_code == 401, token


# --- from where --------------------------------------------------------------------------------


async def test_another_site_cannot_act_with_a_logged_in_browser(web: Web) -> None:
    body = {"pagination": {"first": 5}, "filter": {}}
    async with web.logged_in(web.admin) as browser:
        for origin in ("https://evil.example", "null", "http://localhost:9999", "http://localhost:8000.evil.example"):
            answer = await browser.post("/chat/project/threads", json=body, headers={"Origin": origin})
            assert answer.status_code == 403, origin


async def test_an_allowed_origin_and_our_own_may(web: Web) -> None:
    async with web.logged_in(web.admin) as browser:
        body = {"pagination": {"first": 5}, "filter": {}}
        for origin in (HOST, "https://chat.ipe.example"):
            answer = await browser.post("/chat/project/threads", json=body, headers={"Origin": origin})
            assert answer.status_code == 200


async def test_a_socket_from_another_site_is_not_opened(web: Web) -> None:
    async with web.logged_in(web.admin) as browser:
        cookie = f"mutirao_session={browser.cookies['mutirao_session']}"
        for origin in ("https://evil.example", "null", None):
            assert await _open_websocket(web, cookie, origin) == [{"type": "websocket.close", "code": 1008}], origin


async def _open_websocket(web: Web, cookie: str, origin: str | None) -> list[Any]:
    """What the server answers to a websocket's handshake (httpx speaks none)."""
    headers = [(b"host", b"localhost:8000"), (b"cookie", cookie.encode()), (b"upgrade", b"websocket")]
    if origin:
        headers.append((b"origin", origin.encode()))
    scope = {
        "type": "websocket",
        "path": "/chat/ws/socket.io/",
        "raw_path": b"/chat/ws/socket.io/",
        "query_string": b"EIO=4&transport=websocket",
        "headers": headers,
        "scheme": "ws",
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await web.app(scope, receive, send)
    return sent


# --- how much ----------------------------------------------------------------------------------


async def test_a_body_of_more_than_a_megabyte_is_refused(web: Web) -> None:
    async with web.logged_in(web.admin) as browser:
        answer = await browser.post("/chat/project/threads", content=b"x" * 1_100_000)
        assert answer.status_code == 413

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"y" * 100_000

        answer = await browser.post("/chat/project/threads", content=endless())
        assert answer.status_code in (400, 413)


async def _upload(browser: httpx.AsyncClient, session: str, name: str, content: bytes) -> httpx.Response:
    return await browser.post(f"/chat/project/file?session_id={session}", files={"file": (name, content, "text/csv")})


async def test_what_is_no_csv_or_excel_and_what_is_too_large_is_refused_in_words(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    wrong = await _upload(socket.browser, socket.session_id, "contrato.pdf", b"%PDF")
    large = await _upload(socket.browser, socket.session_id, "tudo.csv", b"a" * (1024 * 1024 + 1))
    assert wrong.status_code == 400 and "CSV ou Excel" in wrong.json()["detail"]
    assert large.status_code == 413 and "1 MB" in large.json()["detail"]


async def test_a_file_cannot_be_put_into_or_taken_out_of_the_session_of_another_person(web: Web, tab: OpenTab) -> None:
    mine, theirs = await tab(web.admin), await tab(web.colleague)
    put = await _upload(mine.browser, mine.session_id, "a.csv", b"segredo")
    file_id = put.json()["id"]
    assert (await _upload(theirs.browser, mine.session_id, "b.csv", b"x")).status_code == 404
    read = f"/chat/project/file/{file_id}?session_id={mine.session_id}"
    assert (await mine.browser.get(read)).text == "segredo"
    assert (await theirs.browser.get(read)).status_code == 401


# --- whose -------------------------------------------------------------------------------------


@pytest.fixture(params=["colleague", "stranger"])
def other(web: Web, request: pytest.FixtureRequest) -> Identity:
    found: Identity = getattr(web, request.param)
    return found


async def test_nobody_reads_renames_or_deletes_the_conversation_of_another_person(web: Web, other: Identity) -> None:
    conversation = await web.conversation_of(web.admin)
    async with web.logged_in(other) as browser:
        assert (await browser.get(f"/chat/project/thread/{conversation}")).status_code == 404
        assert (await browser.get(f"/chat/project/thread/{conversation}/element/x")).status_code == 404
        body = {"threadId": conversation, "name": "minha"}
        assert (await browser.put("/chat/project/thread", json=body)).status_code == 404
        gone = await browser.request("DELETE", "/chat/project/thread", json={"threadId": conversation})
        assert gone.status_code == 404
        listed = await browser.post("/chat/project/threads", json={"pagination": {"first": 50}, "filter": {}})
        assert listed.json()["data"] == []
    async with web.logged_in(web.admin) as browser:
        kept = (await browser.get(f"/chat/project/thread/{conversation}")).json()
    assert kept["name"] == "Como foram minhas campanhas?"
    assert [step["type"] for step in kept["steps"]] == ["user_message", "run", "assistant_message"]


async def test_a_list_of_conversations_is_ones_own_whatever_user_it_asks_for(web: Web) -> None:
    await web.conversation_of(web.admin)
    async with web.logged_in(web.colleague) as browser:
        asked = {"pagination": {"first": 50}, "filter": {"userId": web.admin.user_id}}
        assert (await browser.post("/chat/project/threads", json=asked)).json()["data"] == []


async def test_a_socket_on_the_conversation_of_another_person_shows_nothing_of_it(
    web: Web, tab: OpenTab, other: Identity
) -> None:
    conversation = await web.conversation_of(web.admin, "Qual é o segredo?")
    socket = await tab(other, thread_id=conversation)
    await socket.until(lambda s: s.told("resume_thread_error"))
    await socket.message("e agora?")
    await socket.until(lambda s: "outra pessoa" in s.texts())
    assert "segredo" not in json.dumps(socket.told())


async def test_the_session_of_another_person_is_not_restored(web: Web, tab: OpenTab, other: Identity) -> None:
    mine = await tab(web.admin)
    async with web.logged_in(other) as browser:
        taken = await Socket(browser, session_id=mine.session_id).open()
    assert "refused" in taken.refused


async def test_a_button_cannot_be_pressed_in_the_session_of_another_person(web: Web, tab: OpenTab) -> None:
    mine, theirs = await tab(web.admin), await tab(web.colleague)
    card = await web.propose(web.admin, str(uuid.uuid4()))
    theirs.session_id = mine.session_id
    assert (await theirs.click("approve", card.id)).status_code == 401
    assert web.budget.writes == 0


async def test_files_of_a_conversation_are_found_by_whoever_brought_them_only(web: Web, other: Identity) -> None:
    stored = await web.files.store(web.admin, b"a;b\n", name="gastos ação.csv", mime="text/csv")
    async with web.logged_in(web.admin) as browser:
        mine = await browser.get(f"/chat/data/files/{stored.id}")
    async with web.logged_in(other) as browser:
        theirs = await browser.get(f"/chat/data/files/{stored.id}")
    assert mine.content == b"a;b\n" and mine.headers["content-disposition"].startswith("attachment")
    assert theirs.status_code == 404


async def test_nothing_is_written_outside_the_data_folder(web: Web) -> None:
    assert not [name for name in (".files", ".chainlit", "chainlit.md", "public") if Path(name).exists()]
    assert (web.settings.data_dir / "web" / "public" / "logo_light.svg").exists()
