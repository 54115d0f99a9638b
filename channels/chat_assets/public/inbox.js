// The attendants' inbox (channels/inbox_pages.py): conversations with people outside, as they happen.
//
// The server gives ready words as JSON and takes what is done as JSON; all text becomes text nodes, never HTML. What
// changed is told by one stream of events a browser; this page then reads anew what it shows. Nodes are kept by their
// ids and replaced only where their data changed, so that focus, scrolling, drafts and a voice note that plays stay.
import { drawing, el, outside, takeTheme } from "./dom.js";

const DATA = "/chat/data/inbox";
const PAGE = "/chat/inbox";
const AT_BOTTOM = 90; // pixels: this near the end, the conversation follows new messages
const TOGETHER = 5 * 60_000; // messages of one author within this stand close to each other

// --- small things ---------------------------------------------------------------------------

const EMOJIS = ["👍", "❤️", "😂", "😮", "🙏", "✅"];
const SHAPES = {
  smile: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5v.5M15 9.5v.5",
  back: "M15 5l-7 7 7 7", close: "M6 6l12 12M18 6L6 18", down: "M6 10l6 6 6-6", plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l4.5 4.5", send: "M4 12l16-8-5 16-3.5-6.5L4 12zM11.5 13.5L20 4",
  clip: "M20 11.5l-8.2 8.2a5 5 0 0 1-7.1-7.1l8.6-8.6a3.4 3.4 0 0 1 4.8 4.8l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.7-7.7",
  bolt: "M13 3L5 14h6l-1 7 8-11h-6l1-7z", form: "M5 4h14v16H5zM8.5 9h7M8.5 13h7M8.5 17h4",
  note: "M5 4h14v11l-5 5H5zM14 20v-5h5", bot: "M5 9h14v10H5zM12 9V5M9 13.2v1.6M15 13.2v1.6M2.5 13v3M21.5 13v3M12 4.5v.5",
  person: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20.5c.8-4 3.8-6 7.5-6s6.700 2 7.5 6", info: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 11v6M12 7.500v.5",
  clock: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM12 7.500V12l3 2", check: "M5 12.500l4.500 4.500L19 7.500",
  checks: "M2 12.500l4.500 4.500L16 7.500M12 16.500l.5.5L22 7.500", alert: "M12 4L2.500 20h19L12 4zM12 10v4.500M12 17v.5",
  hold: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM9.800 9v6M14.200 9v6", doc: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  play: "M8 5l11 7-11 7V5z", pause: "M8 5v14M16 5v14", pin: "M12 21s-7-6.500-7-11.500a7 7 0 0 1 14 0C19 14.500 12 21 12 21zM12 7.500a2.200 2.200 0 1 1 0 4.400 2.200 2.200 0 0 1 0-4.400z",
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.500 11a6.500 6.500 0 0 0 13 0M12 17.500V21", reply: "M10 6l-6 6 6 6M4 12h9a7 7 0 0 1 7 7",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 8.500v.3", menu: "M4 7h16M4 12h16M4 17h16", link: "M14 4h6v6M20 4l-9 9M17 14v6H4V7h6",
  film: "M4 5h16v14H4zM10 9l5 3-5 3V9z", bell: "M6 16V11a6 6 0 0 1 12 0v5l1.500 2h-15L6 16zM10 20.500h4",
  silent: "M6 16V11a6 6 0 0 1 12 0v5l1.500 2h-15L6 16zM10 20.500h4M4 3.500l16 17", save: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

function icon(name, label) {
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return drawing(SHAPES[name], { class: `icon icon-${name}`, focusable: "false", ...named });
}

const fill = (text, values) => Object.entries(values).reduce((done, [name, value]) => done.replaceAll(`{${name}}`, value), text);
const initials = (name) => (name.match(/[\p{L}\p{N}]+/gu) || ["?"]).map((part) => part[0]).slice(0, 2).join("").toUpperCase();
const newId = () => (crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`);
const hue = (text) => [...text].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)) % 360, 7);
const minutes = (since) => Math.max(0, Math.floor((Date.now() - Date.parse(since)) / 60_000));
const length = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
let serial = 0;

// Children of `parent` become `items`, each kept while its data stays the same. `build(item, old)` makes a node.
function keyed(parent, items, build) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const held = document.activeElement;
  const focus = parent.contains(held) && held.dataset ? held.dataset.focus : "";
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(item.key), sign = JSON.stringify(item);
    let node = old.get(key);
    if (!node || node.sign !== sign) {
      const fresh = build(item, node);
      fresh.dataset.key = key;
      fresh.sign = sign;
      if (node) { if (place === node) place = fresh; node.replaceWith(fresh); }
      node = fresh;
    }
    old.delete(key);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of old.values()) { if (place === node) place = place.nextElementSibling; node.remove(); }
  if (focus && document.activeElement !== held) {
    const again = parent.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
    if (again) again.focus({ preventScroll: true });
  }
}

// WhatsApp's marks and addresses, as nodes: *bold*, _italic_, ~struck~, `code`, ```block```.
const MARKS = /```([\s\S]+?)```|`([^`\n]+)`|(?<![\p{L}\p{N}*])\*(?![\s*])([^*\n]+?)(?<!\s)\*(?![\p{L}\p{N}*])|(?<![\p{L}\p{N}_])_(?![\s_])([^_\n]+?)(?<!\s)_(?![\p{L}\p{N}_])|(?<![\p{L}\p{N}~])~(?![\s~])([^~\n]+?)(?<!\s)~(?![\p{L}\p{N}~])|(https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}])/gu;

function written(text, deep = 0) {
  const nodes = [];
  let from = 0;
  for (const found of deep > 3 ? [] : text.matchAll(MARKS)) {
    if (found.index > from) nodes.push(text.slice(from, found.index));
    const [whole, block, code, bold, italic, struck, address] = found;
    if (block !== undefined) nodes.push(el("code", { class: "block" }, block));
    else if (code !== undefined) nodes.push(el("code", {}, code));
    else if (bold !== undefined) nodes.push(el("strong", {}, written(bold, deep + 1)));
    else if (italic !== undefined) nodes.push(el("em", {}, written(italic, deep + 1)));
    else if (struck !== undefined) nodes.push(el("s", {}, written(struck, deep + 1)));
    else nodes.push(el("a", { href: address, ...outside }, whole));
    from = found.index + whole.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const stored = {
  get(key) { try { return localStorage.getItem(key) || ""; } catch { return ""; } },
  set(key, value) { try { if (value) localStorage.setItem(key, value); else localStorage.removeItem(key); } catch { /* no storage: drafts last as long as the page */ } },
};

class Failed extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

// --- the page -------------------------------------------------------------------------------

class Inbox {
  constructor(root) {
    this.root = root;
    this.show = new URLSearchParams(location.search).get("show") || "open";
    this.search = "";
    this.channel = "";
    this.wanted = 40; // conversations that are asked for
    this.pending = []; // what this page sends and the server has not confirmed
    this.drafts = new Map();
    this.begun = new Map(); // chat → files and quoted message of a draft, as long as the page is open
    this.players = new Map();
    this.seen = new Map(); // chat → ids of its messages that were already here, so that only new ones are said aloud
    this.begin();
  }

  get chatId() {
    const found = /^\/chat\/inbox\/([\w-]+)\/?$/.exec(location.pathname);
    return found ? found[1] : "";
  }

  get wide() {
    return matchMedia("(min-width: 768px)").matches;
  }

  // --- speaking with the server ---

  async ask(path, query = {}, did = null) {
    const at = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
    const asked = did instanceof Blob
      ? { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: did }
      : did ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(did) } : {};
    const answer = await fetch(`${DATA}${path}?${at}`, { ...asked, credentials: "same-origin" });
    if (answer.status === 401) {
      this.loggedOut();
      throw new Failed("", 401);
    }
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Failed(data.error || answer.statusText, answer.status);
    return data;
  }

  loggedOut() {
    if (!this.words) {
      try { sessionStorage.setItem("mutirao-inbox:wanted", location.pathname); } catch { /* then the chat comes after the login */ }
      location.assign("/chat/login");
      return;
    }
    this.over = true;
    this.strip("wrong", this.words.logged_out, el("a", { href: "/chat/login" }, this.words.log_in));
  }

  async begin() {
    try {
      const start = await this.ask("/start");
      Object.assign(this, start);
    } catch (error) {
      if (error.status === 401) return;
      this.root.replaceChildren(el("div", { class: "inbox-stop" },
        el("p", { role: "alert" }, error.message || "…"),
        el("p", {}, error.status !== 403 && [el("button", { type: "button", class: "button", "aria-label": "↻", onclick: () => location.reload() }, "↻"), " "], el("a", { class: "button", href: "/chat" }, "Mutirão"))));
      return;
    }
    document.documentElement.lang = this.language;
    this.build();
    addEventListener("popstate", () => this.route());
    addEventListener("focus", () => this.refresh());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    addEventListener("online", () => this.refresh());
    addEventListener("pagehide", () => this.keepAll());
    setInterval(() => this.tick(), 20_000);
    this.listen();
    await this.readList();
    this.route(true);
  }

  // One stream a browser, however many tabs: HTTP/1.1 gives a page six connections in all.
  listen() {
    const tell = typeof BroadcastChannel === "function" ? new BroadcastChannel("mutirao-inbox") : null;
    if (tell) tell.onmessage = (event) => this.heard(event.data);
    const lead = () => new Promise(() => this.stream((told) => { if (tell) tell.postMessage(told); this.heard(told); }));
    if (navigator.locks && tell) navigator.locks.request("mutirao-inbox", lead);
    else lead();
  }

  stream(tell) {
    const source = new EventSource(`${DATA}/events`);
    let lost = 0;
    source.addEventListener("open", () => { tell({ state: "live", again: lost > 0 }); lost = 0; });
    source.addEventListener("changed", (event) => tell(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      lost += 1;
      if (lost > 1 || source.readyState === EventSource.CLOSED) tell({ state: "lost" });
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      setTimeout(() => this.over || this.stream(tell), Math.min(30_000, 2_000 * lost));
    });
  }

  heard(told) {
    if (told.state === "live") {
      this.live(true);
      if (told.again) this.refresh();
    } else if (told.state === "lost") {
      this.live(false);
    } else {
      this.soonList();
      if (!told.chats?.length || told.chats.includes(this.chatId)) this.soonChat();
    }
  }

  // Changes come in bursts: the list is read at most once in 0.8 s, the conversation once in 0.15 s.
  soonList() {
    if (!this.listTimer) this.listTimer = setTimeout(() => { this.listTimer = 0; this.readList(); }, this.listed && Date.now() - this.listed < 800 ? 800 : 60);
  }

  soonChat() {
    if (!this.chatTimer) this.chatTimer = setTimeout(() => { this.chatTimer = 0; this.readChat(); }, 150);
  }

  refresh() {
    if (this.over || document.hidden) return;
    this.soonList();
    if (this.chatId) this.soonChat();
  }

  live(on) {
    clearTimeout(this.lostTimer);
    if (on) { if (this.stripKind === "lost") this.strip(); }
    // A server that starts anew is back in a second or two: only a longer silence is worth a word.
    else if (!this.over) this.lostTimer = setTimeout(() => this.strip("lost", this.words.reconnecting), 1_500);
    if (!on && !this.poll) this.poll = setInterval(() => this.refresh(), 10_000);
    if (on && this.poll) { clearInterval(this.poll); this.poll = 0; }
  }

  // --- the frame ---

  build() {
    const words = this.words;
    this.list = el("ul", { class: "lines" });
    this.listEnd = el("div", { class: "lines-end" });
    this.chips = el("div", { class: "chips", role: "group", "aria-label": words.filters });
    this.searchBox = el("input", { type: "search", class: "input", placeholder: words.search, "aria-label": words.search, enterkeyhint: "search", autocomplete: "off",
      onkeydown: (event) => { if (event.key === "ArrowDown") { event.preventDefault(); this.list.querySelector("a")?.focus(); } },
      oninput: () => { clearTimeout(this.searching); this.searching = setTimeout(() => { this.search = this.searchBox.value.trim(); this.wanted = 40; this.readList(); }, 250); } });
    const channels = this.channels.length > 1 && el("select", { class: "input", "aria-label": words.channel,
      onchange: (event) => { this.channel = event.target.value; this.readList(); } },
      el("option", { value: "" }, words.all_channels), this.channels.map((one) => el("option", { value: one.id }, one.name)));
    this.talk = el("section", { class: "talk", "aria-label": words.conversation });
    this.side = el("aside", { class: "side", "aria-label": words.known });
    this.stripPlace = el("div", { class: "strip", role: "status", "aria-live": "polite", hidden: true });
    this.aloud = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
    this.toastPlace = el("div", { class: "toasts", role: "status", "aria-live": "polite" });
    this.pick = el("input", { type: "file", hidden: true, accept: this.accept, onchange: () => { this.attach([...this.pick.files]); this.pick.value = ""; } });
    this.root.replaceChildren(
      el("a", { class: "skip", href: "#talk", onclick: (event) => { event.preventDefault(); (this.box || this.talk.querySelector("h2"))?.focus(); } }, words.skip),
      this.stripPlace,
      el("div", { class: "panes" },
        el("nav", { class: "pane-list", "aria-label": words.conversations },
          el("header", { class: "list-head" },
            el("a", { class: "quiet round", href: "/chat", title: words.to_chat, "aria-label": words.to_chat }, icon("back")),
            el("h1", {}, words.title), channels, this.bell()),
          el("div", { class: "list-tools" }, el("div", { class: "searched" }, icon("search"), this.searchBox), this.chips),
          el("div", { class: "lines-place", onscroll: (event) => this.nearEnd(event.target) }, this.list, this.listEnd)),
        this.talk, this.side),
      this.aloud, this.toastPlace, this.pick);
    this.list.addEventListener("keydown", (event) => this.arrows(event));
    this.talk.addEventListener("dragover", (event) => { if (this.mayAttach && [...event.dataTransfer.types].includes("Files")) { event.preventDefault(); this.talk.classList.add("over"); } });
    this.talk.addEventListener("dragleave", (event) => { if (!this.talk.contains(event.relatedTarget)) this.talk.classList.remove("over"); });
    this.talk.addEventListener("drop", (event) => {
      this.talk.classList.remove("over");
      if (!this.mayAttach || !event.dataTransfer.files.length) return;
      event.preventDefault();
      this.attach([...event.dataTransfer.files]);
    });
    document.addEventListener("keydown", (event) => this.shortcut(event));
    this.empty();
  }

  strip(kind, text, ...more) {
    this.stripKind = kind || "";
    this.stripPlace.hidden = !kind;
    this.stripPlace.className = `strip ${kind || ""}`;
    this.stripPlace.replaceChildren(...(kind ? [text, " ", ...more] : []));
  }

  toast(text, wrong = false) {
    if (!text) return;
    for (const other of [...this.toastPlace.children]) if (other.dataset.text === text) other.remove();
    const node = el("p", { "data-text": text, class: wrong ? "toast wrong" : "toast", role: wrong ? "alert" : null }, text,
      el("button", { type: "button", class: "quiet", "aria-label": this.words.dismiss, onclick: () => node.remove() }, icon("close")));
    this.toastPlace.append(node);
    setTimeout(() => node.remove(), wrong ? 15_000 : 6_000);
  }

  fail(error) {
    if (error.status === 401) return;
    this.toast(error instanceof TypeError ? this.words.offline : error.message, true);
  }

  shortcut(event) {
    if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const at = this.lines.findIndex((line) => line.id === this.chatId);
      const next = this.lines[at + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) this.go(next.id);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.root.dataset.at = "list";
      this.searchBox.focus();
      this.searchBox.select();
    } else if (event.key === "Escape" && this.root.dataset.at === "side" && !document.querySelector("dialog[open]")) {
      this.showSide(false);
    }
  }

  arrows(event) {
    const links = [...this.list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.altKey) return;
    event.preventDefault();
    if (to < 0) this.searchBox.focus();
    else links[Math.min(to, links.length - 1)]?.focus();
  }

  // --- where we are ---

  go(id, replace = false) {
    const address = `${PAGE}${id ? `/${id}` : ""}${this.show === "open" ? "" : `?show=${this.show}`}`;
    history[replace ? "replaceState" : "pushState"](null, "", address);
    this.route();
  }

  route(first = false) {
    this.keepDraft();
    const id = this.chatId;
    this.root.dataset.at = id ? "chat" : "list";
    this.drawList();
    if (!id) { this.chat = null; this.empty(); this.title(); return; }
    if (this.chat?.id === id) return;
    this.chat = null;
    this.messages = [];
    this.earlier = false;
    this.fresh = true;
    ({ files: this.files, replying: this.replying } = this.begun.get(id) || { files: [], replying: null });
    this.box = null;
    this.talk.replaceChildren(el("p", { class: "waiting", role: "status" }, this.words.loading));
    this.side.replaceChildren();
    this.readChat(!first);
  }

  title() {
    const unread = this.counts?.unread || 0;
    document.title = `${unread ? `(${unread}) ` : ""}${this.chat ? `${this.chat.name} · ` : ""}${this.words.title} · Mutirão`;
  }

  tick() {
    for (const node of this.root.querySelectorAll("[data-since]")) node.textContent = this.ago(node.dataset.since);
    const until = this.chat?.window?.until;
    if (until && this.chat.window.open && Date.parse(until) <= Date.now()) this.soonChat();
  }

  ago(since) {
    const past = minutes(since), words = this.words;
    return past < 1 ? words.now : past < 60 ? fill(words.minutes, { n: past }) : past < 48 * 60 ? fill(words.hours, { n: Math.floor(past / 60) }) : fill(words.days, { n: Math.floor(past / 1440) });
  }

  // --- the list -------------------------------------------------------------------------------

  async readList() {
    const mine = (this.listTurn = (this.listTurn || 0) + 1);
    try {
      const data = await this.ask("", { show: this.show, channel: this.channel, search: this.search, limit: this.wanted });
      if (mine !== this.listTurn) return;
      this.listed = Date.now();
      const before = this.lines;
      this.lines = data.chats;
      this.tell(before);
      this.counts = data.counts;
      this.more = data.more;
      this.drawList();
      this.title();
    } catch (error) {
      if (mine === this.listTurn && error.status && error.status !== 401) this.fail(error);
    }
  }

  // Notices of the browser, for whoever works in another window meanwhile. Asked for by a click, kept in this browser.
  bell() {
    if (!isSecureContext || typeof Notification !== "function") return null;
    const drawn = () => {
      const on = this.notifies();
      button.setAttribute("aria-pressed", String(on));
      button.replaceChildren(icon(on ? "bell" : "silent"));
      button.title = on ? this.words.notices_on : this.words.notices_off;
    };
    const button = el("button", { type: "button", class: "quiet round", "aria-label": this.words.notices, onclick: async () => {
      const on = !this.notifies() && (await Notification.requestPermission()) === "granted";
      stored.set("mutirao-inbox:notices", on ? "on" : "");
      if (!on && Notification.permission === "denied") this.toast(this.words.notices_denied, true);
      drawn();
    } });
    drawn();
    return button;
  }

  notifies() {
    return typeof Notification === "function" && Notification.permission === "granted" && stored.get("mutirao-inbox:notices") === "on";
  }

  // What is new and for this person: theirs, or nobody's that wants a person. One notice a conversation.
  tell(before) {
    if (!before || !this.notifies() || document.hasFocus()) return;
    const known = new Map(before.map((line) => [line.id, line.unread]));
    for (const line of this.lines) {
      if (line.unread <= (known.get(line.id) || 0) || !(line.mine || line.held === "fetching")) continue;
      const notice = new Notification(line.name, { body: line.preview, tag: `mutirao-${line.id}`, icon: "/chat/public/favicon.svg" });
      notice.onclick = () => { focus(); notice.close(); this.go(line.id); };
    }
  }

  nearEnd(place) {
    if (!this.more || place.scrollTop + place.clientHeight < place.scrollHeight - 300) return;
    this.more = false;
    this.wanted += 40;
    this.readList();
  }

  drawList() {
    if (!this.lines) return;
    const words = this.words;
    const chips = ["open", "waiting", "mine", "unassigned", "unread", "closed"].map((show) =>
      ({ key: show, show, count: show === "closed" || show === "open" ? 0 : this.counts[show] || 0, on: show === this.show }));
    keyed(this.chips, chips, (chip) => el("button", { type: "button", class: `chip chip-${chip.show}`, "aria-pressed": String(chip.on), "data-focus": `chip-${chip.show}`,
      onclick: () => { this.show = chip.show; this.wanted = 40; this.go(this.chatId, true); this.readList(); } },
      words[`show_${chip.show}`], chip.count > 0 && el("span", { class: "count" }, chip.count > 99 ? "99+" : chip.count)));
    keyed(this.list, this.lines.map((line) => ({ ...line, key: line.id, here: line.id === this.chatId, draft: this.draft(line.id).slice(0, 80) })), (line) => this.line(line));
    this.listEnd.replaceChildren(...(this.lines.length
      ? this.more ? [el("button", { type: "button", class: "button", onclick: () => { this.wanted += 40; this.readList(); } }, words.more)] : []
      : [el("p", { class: "none" }, this.search ? fill(words.nothing_found, { search: this.search }) : words[`none_${this.show}`])]));
  }

  line(line) {
    const words = this.words;
    const state = line.closed || line.held === "bot" ? null : line.held === "fetching"
      ? el("span", { class: "badge warm" }, icon("person"), words.waits_for_person)
      : el("span", { class: "badge" }, icon("person"), line.held_by);
    const foot = [state,
      line.waiting_since && !line.closed && el("span", { class: "badge quiet-badge" }, icon("clock"), el("span", { "data-since": line.waiting_since }, this.ago(line.waiting_since))),
      line.asks > 0 && el("span", { class: "badge warm" }, icon("hold"), words.to_decide),
      line.leaves && el("span", { class: "badge quiet-badge" }, icon("clock"), line.leaves),
      line.failed && el("span", { class: "badge bad" }, icon("alert"), words.failed),
      line.owner && line.owner !== line.held_by && el("span", { class: "badge quiet-badge" }, line.owner)].filter(Boolean);
    return el("li", {}, el("a", { class: `line${line.unread ? " unread" : ""}${line.held === "fetching" && !line.closed ? " fetching" : ""}`, href: `${PAGE}/${line.id}`, "data-focus": line.id,
      "aria-current": line.here ? "true" : null,
      onclick: (event) => { if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; event.preventDefault(); this.go(line.id); } },
      this.face(line),
      el("span", { class: "line-body" },
        el("span", { class: "line-top" }, el("span", { class: "line-name" }, line.name), el("time", { datetime: line.at }, line.when)),
        el("span", { class: "line-second" },
          el("span", { class: "line-text" },
            line.draft ? [el("span", { class: "draft" }, words.draft, " "), line.draft]
              : [line.preview_by && el("span", { class: "line-by" }, line.preview_by, ": "), line.preview_icon && icon(line.preview_icon), line.preview]),
          !line.closed && line.held === "bot" && icon("bot", words.bot),
          line.unread > 0 && el("span", { class: "unread-count", "aria-label": fill(words.unread, { n: line.unread }) }, line.unread > 99 ? "99+" : line.unread)),
        foot.length > 0 && el("span", { class: "line-foot" }, foot))));
  }

  face(line) {
    return el("span", { class: "face", "aria-hidden": "true", style: `--hue: ${hue(line.id)}` }, initials(line.name));
  }

  // --- a conversation -------------------------------------------------------------------------

  empty() {
    this.box = null;
    this.side.replaceChildren();
    this.talk.replaceChildren(el("div", { class: "nothing-open" }, icon("person"), el("p", {}, this.words.choose),
      el("p", { class: "small keys" }, this.words.keys)));
  }

  async readChat(focus = false, did = null) {
    const id = this.chatId;
    const mine = (this.chatTurn = (this.chatTurn || 0) + 1);
    if (!id) return false;
    try {
      const data = await this.ask(did ? "" : "/chat", { id }, did);
      if (id !== this.chatId || (mine !== this.chatTurn && !did)) return true;
      if (did) { this.toast(data.said); this.soonList(); }
      if (data.gone) this.go("", true);
      else this.take(data, focus);
      return true;
    } catch (error) {
      if (id !== this.chatId || error.status === 401) return false;
      if (error.status === 404 && this.chat) { this.toast(error.message, true); this.go("", true); return false; } // it is somebody else's now
      if (did || this.chat) { if (did || error.status) this.fail(error); return false; }
      this.talk.replaceChildren(el("div", { class: "nothing-open" }, icon("alert"), el("p", { role: "alert" }, error instanceof TypeError ? this.words.offline : error.message),
        el("button", { type: "button", class: "button", onclick: () => this.readChat() }, this.words.retry),
        el("button", { type: "button", class: "button only-narrow", onclick: () => this.go("") }, this.words.back)));
      return false;
    }
  }

  // Something is done once: the id of the click goes along, and the buttons rest until it is answered.
  async act(did) {
    if (this.acting) return false;
    this.acting = true;
    this.talk.setAttribute("aria-busy", "true");
    try {
      return await this.readChat(false, { once: newId(), ...did });
    } finally {
      this.acting = false;
      this.talk.removeAttribute("aria-busy");
    }
  }

  take(data, focus) {
    const before = this.chat;
    this.chat = data.chat;
    // The newest page comes each time; what was loaded above it stays.
    const first = data.messages.length ? data.messages[0].seq : Infinity;
    const here = new Set(this.messages.map((one) => one.id));
    const joined = !data.earlier || data.messages.some((one) => here.has(one.id)); // else there is a gap between them
    const above = joined ? this.messages.filter((one) => one.seq < first) : [];
    if (!above.length) this.earlier = data.earlier;
    this.messages = [...above, ...data.messages];
    if (this.fresh || !this.frame?.isConnected) this.frameOf();
    this.drawHead();
    this.drawLog();
    this.drawComposer(before);
    this.drawSide();
    this.title();
    this.sayNew(before);
    if (this.fresh && focus) {
      if (this.wide && matchMedia("(pointer: fine)").matches && this.box) this.box.focus();
      else this.talk.querySelector("h2").focus();
    }
    this.fresh = false;
    this.markRead();
  }

  markRead() {
    if (!this.chat.unread || document.hidden || !document.hasFocus() || !this.may.write) return;
    const id = this.chat.id;
    this.chat.unread = 0;
    this.ask("", { id }, { do: "read" }).then(() => this.soonList()).catch(() => { /* it stays unread, and is tried again */ });
  }

  sayNew(before) {
    const known = this.seen.get(this.chat.id);
    this.seen.set(this.chat.id, new Set(this.messages.map((one) => one.id)));
    if (!before || before.id !== this.chat.id || !known) return;
    const fresh = this.messages.filter((one) => one.side === "in" && !known.has(one.id));
    if (fresh.length) this.aloud.textContent = fresh.map((one) => `${one.name}: ${one.text || one.kind_label || ""}`).join(". ");
    if (before.held !== this.chat.held || before.held_by !== this.chat.held_by) {
      if (this.chat.held === "person" && this.chat.held_by && !this.chat.mine) this.toast(fill(this.words.took_over, { name: this.chat.held_by }));
      else if (this.chat.held === "fetching") this.aloud.textContent = fill(this.words.asks_for_person, { name: this.chat.name });
    }
  }

  frameOf() {
    this.head = el("header", { class: "talk-head" });
    this.notices = el("div", { class: "notices" });
    this.log = el("ol", { class: "log-list" });
    this.earlierPlace = el("div", { class: "earlier" });
    this.scroller = el("div", { class: "log", role: "log", "aria-live": "off", "aria-label": this.words.messages, tabindex: "0",
      onscroll: () => { this.toBottom.hidden = this.nearBottom(); if (this.scroller.scrollTop < 60 && this.earlier) this.readEarlier(); } },
      this.earlierPlace, this.log);
    this.toBottom = el("button", { type: "button", class: "to-bottom round", hidden: true, "aria-label": this.words.to_newest, title: this.words.to_newest,
      onclick: () => { this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: "smooth" }); } }, icon("down"));
    this.composer = el("div", { class: "composer" });
    this.composing = "";
    this.frame = el("div", { class: "talk-frame", id: "talk" }, this.head, this.notices, el("div", { class: "log-place" }, this.scroller, this.toBottom), this.composer);
    this.talk.replaceChildren(this.frame);
    this.unreadFrom = null;
    if (this.chat.unread) {
      const coming = this.messages.filter((one) => one.side === "in");
      this.unreadFrom = coming[Math.max(0, coming.length - this.chat.unread)]?.id || null;
    }
  }

  nearBottom() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < AT_BOTTOM;
  }

  async readEarlier() {
    if (this.readingEarlier || !this.messages.length) return;
    this.readingEarlier = true;
    const id = this.chatId;
    try {
      const data = await this.ask("/messages", { id, before: this.messages[0].seq });
      if (id !== this.chatId) return;
      const height = this.scroller.scrollHeight - this.scroller.scrollTop;
      this.messages = [...data.messages, ...this.messages];
      this.earlier = data.earlier;
      for (const one of data.messages) this.seen.get(id)?.add(one.id);
      this.drawLog(false);
      this.scroller.scrollTop = this.scroller.scrollHeight - height;
    } catch (error) {
      this.fail(error);
    } finally {
      this.readingEarlier = false;
    }
  }

  drawHead() {
    const { chat, words } = this, open = chat.window;
    const buttons = [];
    const act = (label, did, first, glyph) => buttons.push(el("button", { type: "button", class: first ? "button first" : "button", "data-focus": `act-${did}`,
      onclick: () => this.act({ do: did }) }, glyph && icon(glyph), el("span", {}, label)));
    if (this.may.write && !chat.closed) {
      if (chat.held !== "person" || !chat.mine) act(words.take_over, "take_over", chat.held !== "person", "person");
      if (chat.held !== "bot") act(words.hand_back, "hand_back", false, "bot");
      act(words.close, "close", false, "check");
    }
    const item = { key: "head", name: chat.name, address: chat.address, channel: chat.channel, window: open, held: chat.held, by: chat.held_label, buttons: buttons.length, mine: chat.mine, closed: chat.closed };
    keyed(this.head, [item], () => el("div", { class: "head-row" },
      el("button", { type: "button", class: "quiet round only-narrow", "aria-label": words.back_to_list, onclick: () => this.go("") }, icon("back")),
      el("button", { type: "button", class: "face-button", "data-focus": "face", title: words.known, "aria-label": words.known, onclick: () => this.showSide(this.root.dataset.at !== "side") }, this.face(chat)),
      el("div", { class: "head-name" },
        el("h2", { tabindex: "-1" }, chat.name),
        el("p", { class: "small" }, [chat.address, chat.channel].filter(Boolean).join(" · "))),
      el("div", { class: "head-state" },
        el("span", { class: `badge ${chat.closed ? "" : { bot: "bot", fetching: "warm", person: "" }[chat.held]}` }, icon(chat.closed ? "check" : chat.held === "bot" ? "bot" : "person"), chat.held_label),
        open && el("span", { class: `badge ${open.open ? (open.soon ? "warm" : "quiet-badge") : "bad"}`, title: open.hint }, icon("clock"), open.label)),
      el("div", { class: "head-acts" }, buttons,
        el("button", { type: "button", class: "quiet round side-opener", "data-focus": "side", "aria-label": words.known, title: words.known, onclick: () => this.showSide(this.root.dataset.at !== "side") }, icon("info")))));
    const notices = [];
    if (chat.held === "fetching" && !chat.closed) notices.push({ key: "fetching", kind: "warm", title: chat.fetching, text: chat.summary });
    else if (chat.summary && chat.held === "person") notices.push({ key: "summary", kind: "plain", title: words.summary, text: chat.summary, folded: true });
    if (chat.consent?.stopped) notices.push({ key: "stopped", kind: "bad", title: chat.consent.label, text: "" });
    keyed(this.notices, notices, (one) => one.folded
      ? el("details", { class: `notice ${one.kind}` }, el("summary", {}, one.title), el("p", { class: "lined" }, one.text))
      : el("div", { class: `notice ${one.kind}` }, el("strong", {}, one.title), one.text && el("p", { class: "lined" }, one.text)));
  }

  showSide(on) {
    this.root.dataset.at = on ? "side" : this.chatId ? "chat" : "list";
    if (on) this.side.querySelector("h2")?.focus();
    else this.talk.querySelector("h2")?.focus();
  }

  // --- messages ---

  drawLog(follow = true) {
    const stay = follow && (this.fresh || this.nearBottom());
    const items = [];
    let day = "", last = null;
    for (const one of this.messages) {
      if (one.day !== day) { items.push({ key: `day-${one.day}`, type: "day", label: one.day_label }); day = one.day; last = null; }
      if (one.id === this.unreadFrom) { items.push({ key: "unread", type: "unread" }); last = null; }
      const close = last && last.side === one.side && last.name === one.name && Date.parse(one.at) - Date.parse(last.at) < TOGETHER;
      items.push({ key: one.id, type: "message", close: Boolean(close), ...one });
      last = one;
    }
    for (const one of this.pending.filter((other) => other.chat === this.chat.id)) items.push({ key: `pending-${one.key}`, type: "pending", text: one.text, side: one.side, failed: one.failed || "", file: one.file || "", once: one.key });
    if (!items.length) items.push({ key: "none", type: "none" });
    keyed(this.log, items, (item) => this.item(item));
    this.earlierPlace.replaceChildren(...(this.earlier ? [el("button", { type: "button", class: "button", onclick: () => this.readEarlier() }, this.words.earlier)] : []));
    if (stay) this.follow();
    this.toBottom.hidden = this.nearBottom();
  }

  follow() {
    const mark = this.fresh && this.log.querySelector(".unread-mark");
    if (mark) mark.scrollIntoView({ block: "center" });
    else this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  item(item) {
    const words = this.words;
    if (item.type === "day") return el("li", { class: "day" }, el("span", {}, item.label));
    if (item.type === "unread") return el("li", { class: "unread-mark" }, el("span", {}, words.unread_from_here));
    if (item.type === "none") return el("li", { class: "none" }, words.no_messages);
    if (item.type === "pending") return this.pendingItem(item);
    if (item.side === "system") return el("li", { class: "day told" }, el("span", {}, item.text, " ", el("time", { datetime: item.at }, item.clock)));
    return el("li", { class: `message ${item.side}${item.close ? " close" : ""}${item.state ? ` is-${item.state}` : ""}`, id: `m-${item.id}` },
      el("article", { class: "bubble", "aria-label": `${item.name}, ${item.clock}` },
        !item.close && item.side !== "in" && el("p", { class: "by" }, icon(item.side === "note" ? "note" : item.author === "bot" ? "bot" : "person"), item.name, item.side === "note" && ` · ${words.note_label}`),
        item.forwarded && el("p", { class: "small" }, words.forwarded),
        item.ad && el("p", { class: "ad" }, icon("link"), el("span", {}, item.ad)),
        item.quote && el("button", { type: "button", class: "quote", onclick: () => this.jump(item.quote.id) }, el("strong", {}, item.quote.name), el("span", {}, item.quote.text)),
        item.revoked ? el("p", { class: "revoked" }, words.revoked) : this.content(item),
        el("p", { class: "foot" },
          item.template && el("span", { class: "tag" }, fill(words.template_named, { name: item.template })),
          item.edited && el("span", {}, words.edited),
          el("time", { datetime: item.at, title: item.full_time }, item.clock),
          item.status && el("span", { class: `ticks ticks-${item.status.code}`, title: item.status.label }, icon(item.status.icon, item.status.label))),
        item.why && this.why(item)),
      item.reaction && el("span", { class: "reaction", role: "img", "aria-label": fill(words.reaction, { emoji: item.reaction }) }, item.reaction),
      item.side === "in" && this.may.write && !item.revoked && el("button", { type: "button", class: "quiet round quoter", "aria-label": words.react, title: words.react, "data-focus": `react-${item.id}`, onclick: () => this.react(item) }, icon("smile")),
      item.side === "in" && this.may.write && el("button", { type: "button", class: "quiet round quoter", "aria-label": fill(words.reply_to, { text: (item.text || item.kind_label || "").slice(0, 60) }), title: words.quote,
        onclick: () => this.replyTo(item) }, icon("reply")));
  }

  // An emoji on what they wrote; the same one again takes it back. Nobody takes the conversation over by it.
  react(item) {
    const { words } = this;
    const dialog = el("dialog", { class: "dialog", "aria-label": words.react }, el("div", { class: "dialog-head" }, el("h3", {}, words.react), el("button", { type: "button", class: "quiet round", "aria-label": words.dismiss, onclick: () => dialog.close() }, icon("close"))),
      el("div", { class: "buttons" }, EMOJIS.map((emoji) => el("button", { type: "button", class: "button", "aria-pressed": String(item.reaction === emoji), onclick: () => { dialog.close(); this.act({ do: "react", message: item.id, emoji: item.reaction === emoji ? "" : emoji }); } }, emoji))));
    this.modal(dialog);
  }

  // Why it waits, needs a decision, was dropped or failed: one sentence, the rule and its source behind it.
  why(item) {
    const words = this.words, why = item.why;
    return el("div", { class: `why why-${item.state}` },
      el("p", {}, icon({ ask: "hold", failed: "alert", dropped: "close", unknown: "alert" }[item.state] || "clock"), el("span", {}, why.short)),
      why.long && el("details", {}, el("summary", {}, words.why_so), el("p", { class: "lined" }, why.long)),
      item.outbox && this.may.write && el("div", { class: "buttons" },
        item.choice && el("button", { type: "button", class: item.choice === "again" ? "button" : "button first", onclick: () => this.act({ do: "resolve", outbox: item.outbox, send: true }) },
          { send: words.send_it, template: words.send_template_it, again: words.send_again }[item.choice]),
        el("button", { type: "button", class: "button", onclick: () => this.act({ do: "resolve", outbox: item.outbox, send: false }) }, item.choice === "again" ? words.leave_it : words.drop_it)));
  }

  content(item) {
    const parts = [];
    if (item.header) parts.push(el("p", { class: "header" }, item.header));
    if (item.media) parts.push(this.media(item));
    if (item.place) parts.push(el("a", { class: "file", href: item.place.url, ...outside }, icon("pin"), el("span", {}, el("strong", {}, item.place.name), item.place.address && el("span", { class: "small" }, item.place.address))));
    for (const card of item.cards || []) parts.push(el("p", { class: "file" }, icon("person"), el("span", {}, el("strong", {}, card.name), el("span", { class: "small" }, card.ways))));
    if (item.text) parts.push(el("div", { class: `text${item.big ? " big" : ""}${item.chosen ? " chosen-one" : ""}`, dir: "auto" }, item.chosen && el("span", { class: "tag" }, this.words.chose), written(item.text)));
    else if (!parts.length) parts.push(el("p", { class: "revoked" }, item.kind_label));
    if (item.footer) parts.push(el("p", { class: "small" }, item.footer));
    if (item.buttons?.length) parts.push(el("ul", { class: "options", "aria-label": this.words.options }, item.buttons.map((one) => el("li", {}, one.url ? el("a", { href: one.url, ...outside }, one.title, icon("link")) : one.title))));
    if (item.list) parts.push(el("details", { class: "options-list" }, el("summary", {}, icon("menu"), item.list.label), item.list.sections.map((section) => [
      section.title && el("p", { class: "small" }, section.title),
      el("ul", {}, section.rows.map((row) => el("li", {}, el("strong", {}, row.title), row.note && el("span", { class: "small" }, row.note))))])));
    return parts;
  }

  media(item) {
    const { media } = item, words = this.words;
    const known = media.words && (media.kind === "audio"
      ? el("div", { class: "words" }, el("p", { class: "small" }, media.words_label), el("p", { class: "lined", dir: "auto" }, media.words))
      : el("details", { class: "words" }, el("summary", {}, media.words_label), el("p", { class: "lined", dir: "auto" }, media.words)));
    const below = known || (media.words_note && el("p", { class: "small" }, media.words_note));
    if (!media.url) return el("div", {}, el("p", { class: `file ${media.state}` }, icon(media.kind === "audio" ? "mic" : media.kind === "image" ? "picture" : "doc"), el("span", {}, el("strong", {}, media.label), el("span", { class: "small" }, media.note))), below);
    if (media.kind === "audio") return el("div", {}, this.player(media), below);
    if (media.shows === "image") {
      return el("div", {}, el("button", { type: "button", class: "picture", "aria-label": fill(words.open_picture, { name: media.label }), onclick: () => this.lightbox(media) },
        el("img", { src: media.url, alt: media.alt, loading: "lazy", onload: () => this.nearBottomOnce() && this.follow() })), below);
    }
    if (media.shows === "video") return el("div", {}, el("video", { controls: true, preload: "metadata", src: media.url, "aria-label": media.label }), below);
    return el("div", {}, el("a", { class: "file", href: media.url, download: media.name || true }, icon("doc"), el("span", {}, el("strong", {}, media.label), el("span", { class: "small" }, media.size)), icon("save")), below);
  }

  nearBottomOnce() {
    return this.scroller && this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 420;
  }

  // A voice note: kept by its id, so that a transcript that arrives while it plays does not stop it.
  player(media) {
    if (this.players.has(media.id)) return this.players.get(media.id);
    const words = this.words, sound = el("audio", { preload: "none", src: media.url });
    let total = media.seconds || 0, speed = 1;
    const time = el("span", { class: "small time" }, total ? length(total) : "");
    const line = el("input", { type: "range", min: "0", max: "1000", value: "0", "aria-label": words.position, oninput: () => { if (total) sound.currentTime = (line.value / 1000) * total; } });
    const button = el("button", { type: "button", class: "round play", "aria-label": words.play, onclick: () => {
      if (!sound.paused) { sound.pause(); return; }
      for (const other of document.querySelectorAll("audio")) if (other !== sound) other.pause();
      sound.play().catch(() => { time.textContent = ""; node.append(el("a", { class: "small", href: media.url, download: true }, words.download)); });
    } }, icon("play"));
    const faster = el("button", { type: "button", class: "quiet speed", "aria-label": words.speed, onclick: () => { speed = speed === 1 ? 1.5 : speed === 1.5 ? 2 : 1; sound.playbackRate = speed; faster.textContent = `${speed}×`; } }, "1×");
    const drawn = () => { button.replaceChildren(icon(sound.paused ? "play" : "pause")); button.setAttribute("aria-label", sound.paused ? words.play : words.pause); };
    sound.addEventListener("play", () => { sound.playbackRate = speed; drawn(); });
    sound.addEventListener("pause", drawn);
    sound.addEventListener("ended", () => { line.value = 0; time.textContent = length(total); drawn(); });
    sound.addEventListener("loadedmetadata", () => { if (Number.isFinite(sound.duration)) total = sound.duration; });
    sound.addEventListener("timeupdate", () => {
      if (Number.isFinite(sound.duration)) total = sound.duration;
      if (total) line.value = Math.round((sound.currentTime / total) * 1000);
      time.textContent = length(sound.currentTime) + (total ? ` / ${length(total)}` : "");
      line.setAttribute("aria-valuetext", time.textContent);
    });
    const node = el("div", { class: "player", role: "group", "aria-label": media.label }, button, line, time, faster, sound);
    this.players.set(media.id, node);
    return node;
  }

  lightbox(media) {
    const dialog = el("dialog", { class: "lightbox", "aria-label": media.label, onclick: (event) => { if (event.target === dialog) dialog.close(); } },
      el("div", { class: "lightbox-bar" }, el("a", { class: "button", href: media.url, download: media.name || true }, icon("save"), this.words.download),
        el("button", { type: "button", class: "button", onclick: () => dialog.close() }, icon("close"), this.words.dismiss)),
      el("img", { src: media.url, alt: media.alt }), media.words && el("p", { class: "lined" }, media.words));
    this.modal(dialog);
  }

  modal(dialog) {
    const before = document.activeElement;
    dialog.addEventListener("close", () => { dialog.remove(); if (before?.isConnected) before.focus(); });
    this.root.append(dialog);
    dialog.showModal();
    return dialog;
  }

  jump(id) {
    const node = this.log.querySelector(`#${CSS.escape(`m-${id}`)}`);
    if (!node) return;
    node.scrollIntoView({ block: "center", behavior: "smooth" });
    node.classList.add("flash");
    setTimeout(() => node.classList.remove("flash"), 1_600);
  }

  pendingItem(item) {
    const words = this.words;
    return el("li", { class: `message ${item.side} pending${item.failed ? " is-failed" : ""}` },
      el("article", { class: "bubble" },
        el("div", { class: "text", dir: "auto" }, item.file && el("p", { class: "file" }, icon("doc"), el("span", {}, el("strong", {}, item.file))), written(item.text)),
        el("p", { class: "foot" }, !item.failed && [words.sending, " ", icon("clock")]),
        item.failed && el("div", { class: "why why-failed" }, el("p", {}, icon("alert"), el("span", {}, item.failed)),
          el("div", { class: "buttons" },
            el("button", { type: "button", class: "button first", onclick: () => this.again(item.once) }, words.retry),
            el("button", { type: "button", class: "button", onclick: () => this.takeBack(item.once) }, words.back_to_draft)))));
  }

  // --- writing --------------------------------------------------------------------------------

  draftKey(id, note) { return `mutirao-inbox:${this.me.id}:${id}${note ? ":note" : ""}`; }
  draft(id, note = false) { return this.drafts.get(this.draftKey(id, note)) ?? stored.get(this.draftKey(id, note)); }
  setDraft(id, note, text) {
    this.drafts.set(this.draftKey(id, note), text);
    stored.set(this.draftKey(id, note), text);
  }

  keepDraft() {
    if (!this.box || !this.boxOf) return;
    this.setDraft(this.boxOf, this.noting, this.box.value);
    this.begun.set(this.boxOf, { files: this.files, replying: this.replying });
  }

  // The page goes away: what surely did not leave is a draft again.
  keepAll() {
    this.keepDraft();
    for (const one of this.pending) {
      const key = this.draftKey(one.chat, one.side === "note");
      if (one.failed && one.text && !one.did) stored.set(key, [stored.get(key), one.text].filter(Boolean).join("\n"));
    }
  }

  get mayAttach() {
    return Boolean(this.may.write && this.chat && this.chat.may_attach && !this.noting && this.box);
  }

  drawComposer(before) {
    const { chat, words } = this;
    const mode = !this.may.write ? "reading" : chat.stopped_writing && !this.noting ? "stopped" : "writing";
    const shape = `${chat.id}|${mode}|${Boolean(this.noting)}|${chat.may_attach}|${chat.templates}|${chat.quick}|${chat.stopped_writing || ""}`;
    if (shape !== this.composing) {
      const typing = this.box && document.activeElement === this.box && before?.id === chat.id;
      if (this.box && this.boxOf === chat.id) this.keepDraft();
      this.composing = shape;
      this.boxOf = chat.id;
      this.box = null;
      this.composer.replaceChildren(...this.composerOf(mode));
      if (this.box) { this.box.value = this.draft(chat.id, this.noting); this.grow(); if (typing) this.box.focus(); }
    }
    if (this.hint) this.hint.textContent = this.noting ? words.note_hint : mode === "stopped" ? "" : chat.composer_hint || "";
  }

  composerOf(mode) {
    const { chat, words } = this;
    if (mode === "reading") return [el("p", { class: "small reading" }, words.reading_only)];
    const tabs = el("div", { class: "tabs", role: "group", "aria-label": words.write_what },
      el("button", { type: "button", class: "tab", "aria-pressed": String(!this.noting), "data-focus": "tab-reply", onclick: () => this.note(false) }, icon("send"), words.reply),
      el("button", { type: "button", class: "tab", "aria-pressed": String(Boolean(this.noting)), "data-focus": "tab-note", onclick: () => this.note(true) }, icon("note"), words.note));
    this.hint = el("span", { class: "small hint", role: "status" });
    const top = el("div", { class: "composer-top" }, tabs, this.hint);
    if (mode === "stopped") {
      return [top, el("div", { class: "stopped" }, icon("clock"), el("p", {}, chat.stopped_writing),
        chat.templates && el("button", { type: "button", class: "button first", onclick: () => this.templates() }, icon("form"), words.pick_template))];
    }
    this.box = el("textarea", { class: "input", rows: "1", "aria-label": this.noting ? words.note_label : fill(words.message_to, { name: chat.name }), placeholder: this.noting ? words.note_placeholder : words.placeholder, maxlength: "20000",
      oninput: () => { this.grow(); this.suggest(); clearTimeout(this.drafting); this.drafting = setTimeout(() => this.keepDraft(), 300); },
      onkeydown: (event) => this.typed(event),
      onpaste: (event) => { const files = [...event.clipboardData.files]; if (files.length && this.mayAttach) { event.preventDefault(); this.attach(files); } } });
    this.quotePlace = el("div", { class: "quoting" });
    this.filePlace = el("ul", { class: "attached", "aria-label": words.attached });
    this.quickPlace = el("div", { class: "quick", hidden: true });
    this.sender = el("button", { type: "submit", class: "round send", "aria-label": this.noting ? words.keep_note : words.send, title: this.noting ? words.keep_note : words.send }, icon(this.noting ? "check" : "send"));
    this.drawQuote();
    return [top, this.quickPlace, this.quotePlace, this.filePlace,
      el("form", { class: `writing${this.noting ? " noting" : ""}`, onsubmit: (event) => { event.preventDefault(); this.send(); } },
        !this.noting && el("div", { class: "writing-tools" },
          chat.may_attach && el("button", { type: "button", class: "quiet round", "aria-label": words.attach, title: words.attach, onclick: () => this.pick.click() }, icon("clip")),
          chat.quick && el("button", { type: "button", class: "quiet round", "aria-label": words.quick, title: words.quick, onclick: () => { if (this.quickPlace.hidden) { this.quickOpen(""); } else this.quickClose(); } }, icon("bolt")),
          chat.templates && el("button", { type: "button", class: "quiet round", "aria-label": words.pick_template, title: words.pick_template, onclick: () => this.templates() }, icon("form"))),
        this.box, this.sender)];
  }

  note(on) {
    if (Boolean(this.noting) === on) return;
    this.keepDraft();
    this.noting = on;
    this.drawComposer(null);
    (this.box || this.composer.querySelector("button.first"))?.focus();
  }

  grow() {
    if (!this.box) return;
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight + 2, 200)}px`;
  }

  typed(event) {
    if (event.isComposing) return;
    if (!this.quickPlace.hidden) {
      const rows = [...this.quickPlace.querySelectorAll("button")];
      const at = rows.findIndex((row) => row.classList.contains("chosen"));
      if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); this.quickClose(); return; }
      if (rows.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
        event.preventDefault();
        const to = (at + (event.key === "ArrowDown" ? 1 : -1) + rows.length) % rows.length;
        rows.forEach((row, n) => row.classList.toggle("chosen", n === to));
        this.aloud.textContent = rows[to].textContent;
        rows[to].scrollIntoView({ block: "nearest" });
        return;
      }
      if (rows.length && (event.key === "Enter" || event.key === "Tab")) { event.preventDefault(); rows[Math.max(0, at)].click(); return; }
    }
    // With a keyboard, Enter sends; on a phone's it begins a line, and the button sends.
    if (event.key === "Enter" && !event.shiftKey && (event.ctrlKey || event.metaKey || matchMedia("(pointer: fine)").matches)) {
      event.preventDefault();
      this.send();
    }
  }

  suggest() {
    if (this.noting || !this.chat.quick) return;
    const found = /^\/([^\n]*)$/.exec(this.box.value);
    if (found) this.quickOpen(found[1]);
    else if (!this.quickPlace.hidden && this.quickTyped) this.quickClose();
  }

  quickOpen(typed) {
    const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const found = this.quick.filter((one) => plain(`${one.title} ${one.text}`).includes(plain(typed.trim())));
    this.quickTyped = this.box.value.startsWith("/");
    this.quickPlace.hidden = false;
    this.quickPlace.replaceChildren(
      el("p", { class: "small" }, this.words.quick),
      found.length ? el("ul", {}, found.map((one, n) => el("li", {}, el("button", { type: "button", class: n ? "" : "chosen", onclick: () => this.quickUse(one) }, el("strong", {}, one.title), el("span", {}, this.quickText(one))))))
        : el("p", { class: "none" }, this.words.no_quick));
  }

  // {nome} is the contact's first name, or nothing where none is known.
  quickText(one) {
    return one.text.replace(/(, )?\{(nome|name|nombre)\}/g, (_, comma) => (this.chat.first_name ? `${comma || ""}${this.chat.first_name}` : ""));
  }

  quickClose() { this.quickPlace.hidden = true; }

  quickUse(one) {
    const text = this.quickText(one);
    const kept = this.box.value.startsWith("/") ? "" : this.box.value;
    this.box.value = kept ? `${kept.trimEnd()}\n${text}` : text;
    this.quickClose();
    this.grow();
    this.keepDraft();
    this.box.focus();
    this.box.setSelectionRange(this.box.value.length, this.box.value.length);
  }

  replyTo(item) {
    this.note(false);
    this.replying = { id: item.id, name: item.name, text: item.text || item.kind_label || "" };
    this.drawQuote();
    this.box?.focus();
  }

  drawQuote() {
    if (!this.quotePlace) return;
    const quoted = !this.noting && this.replying;
    this.quotePlace.replaceChildren(...(quoted ? [el("div", { class: "quote" }, el("strong", {}, quoted.name), el("span", {}, quoted.text)),
      el("button", { type: "button", class: "quiet round", "aria-label": this.words.no_quote, onclick: () => { this.replying = null; this.drawQuote(); this.box.focus(); } }, icon("close"))] : []));
    this.filePlace.replaceChildren(...(this.noting ? [] : (this.files || []).map((file, n) => el("li", {}, icon("doc"), file.name,
      el("button", { type: "button", class: "quiet", "aria-label": fill(this.words.detach, { name: file.name }), onclick: () => { this.files.splice(n, 1); this.drawQuote(); this.box.focus(); } }, icon("close"))))));
  }

  attach(files) {
    if (!this.mayAttach) return;
    for (const file of files) {
      if (file.size > this.most_bytes) this.toast(fill(this.words.file_too_big, { name: file.name, mb: Math.floor(this.most_bytes / 1_048_576) }), true);
      else if (file.size) this.files.push(file);
    }
    this.drawQuote();
    this.box.focus();
  }

  // What is sent stands in the conversation at once, as "sending"; from the server's word on it is the row's state.
  send() {
    const text = this.box.value.trim();
    const files = this.noting ? [] : this.files;
    if (!text && !files.length) return;
    const chat = this.chat.id, side = this.noting ? "note" : "out";
    const sent = files.length
      ? files.map((file, n) => ({ key: newId(), chat, side, text: n ? "" : text, blob: file, file: file.name, reply: n ? null : this.replying?.id }))
      : [{ key: newId(), chat, side, text, reply: this.replying?.id }];
    this.box.value = "";
    this.files = [];
    this.replying = null;
    this.setDraft(chat, this.noting, "");
    this.grow();
    this.drawQuote();
    this.pending.push(...sent);
    this.drawLog(false);
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.sendNext(chat);
  }

  // One after the other, so that they leave in the order in which they were written.
  async sendNext(chat) {
    this.sendingNow ||= new Set();
    if (this.sendingNow.has(chat)) return;
    this.sendingNow.add(chat);
    try {
      for (let one; (one = this.pending.find((other) => other.chat === chat && !other.failed)); ) {
        try {
          if (one.blob && !one.stored) one.stored = (await this.ask("/file", { id: chat, name: one.blob.name, type: one.blob.type }, one.blob)).file;
          const did = one.did || (one.side === "note" ? { do: "note", text: one.text } : { do: "reply", text: one.text, reply_to: one.reply || "", file: one.stored || "" });
          const data = await this.ask("", { id: chat }, { ...did, once: one.key });
          this.chatTurn = (this.chatTurn || 0) + 1; // what was asked for before this is older
          if (chat === this.chatId && !data.gone) {
            this.take(data, false);
            this.scroller.scrollTop = this.scroller.scrollHeight;
          }
          this.pending = this.pending.filter((other) => other !== one);
          if (chat === this.chatId) this.drawLog(false);
          this.toast(data.said);
        } catch (error) {
          one.failed = error.status === 401 ? this.words.logged_out : error instanceof TypeError ? this.words.not_sent_offline : error.message || this.words.offline;
          if (chat === this.chatId) this.drawLog();
          else this.toast(one.failed, true);
          break; // what was written after it waits, too: order
        }
      }
    } finally {
      this.sendingNow.delete(chat);
      this.soonList();
    }
  }

  again(key) {
    for (const one of this.pending) if (one.key === key) one.failed = "";
    this.drawLog(false);
    this.sendNext(this.chat.id);
  }

  takeBack(key) {
    const one = this.pending.find((other) => other.key === key);
    this.pending = this.pending.filter((other) => other !== one);
    if (this.noting !== (one.side === "note")) this.note(one.side === "note");
    if (this.box) {
      this.box.value = [one.text, this.box.value].filter(Boolean).join("\n");
      if (one.blob) this.files.push(one.blob);
      this.drawQuote();
      this.grow();
      this.keepDraft();
      this.box.focus();
    }
    this.drawLog(false);
    this.sendNext(this.chat.id);
  }

  // --- templates ---

  async templates() {
    const words = this.words, chat = this.chat.id;
    let found;
    try { found = (await this.ask("/templates", { id: chat })).templates; } catch (error) { this.fail(error); return; }
    const place = el("div", { class: "template-fields" });
    const list = el("ul", { class: "template-list" });
    const dialog = el("dialog", { class: "dialog", "aria-label": words.pick_template },
      el("div", { class: "dialog-head" }, el("h3", {}, words.pick_template), el("button", { type: "button", class: "quiet round", "aria-label": words.dismiss, onclick: () => dialog.close() }, icon("close"))),
      found.length ? list : el("p", { class: "none" }, words.no_templates), place);
    const open = (one) => {
      for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.focus === one.key));
      const values = Object.fromEntries(one.variables.map((variable) => [variable.name, variable.value || ""]));
      const preview = el("p", { class: "bubble lined", "aria-live": "polite" });
      const show = () => { preview.replaceChildren(...written(one.body.replace(/\{\{\s*(\w+)\s*\}\}/g, (hole, name) => values[name] || hole))); };
      show();
      const form = el("form", { onsubmit: (event) => {
        event.preventDefault();
        dialog.close();
        const key = newId();
        this.pending.push({ key, chat, side: "out", text: preview.textContent, did: { do: "template", name: one.name, language: one.language, values } });
        this.drawLog(false);
        this.scroller.scrollTop = this.scroller.scrollHeight;
        this.sendNext(chat);
      } },
        one.variables.map((variable) => { const id = `value-${++serial}`; return el("div", {}, el("label", { for: id }, variable.label),
          el("input", { id, class: "input", required: true, maxlength: "500", value: variable.value, oninput: (event) => { values[variable.name] = event.target.value; show(); } })); }),
        el("p", { class: "small" }, words.preview), preview,
        el("div", { class: "buttons" }, el("button", { type: "submit", class: "button first" }, icon("send"), words.send_template)));
      place.replaceChildren(form);
      (form.querySelector("input") || form.querySelector("button")).focus();
    };
    list.replaceChildren(...found.map((one) => el("li", {}, el("button", { type: "button", "data-focus": one.key, "aria-pressed": "false", disabled: !one.usable, onclick: () => open(one) },
      el("strong", {}, one.name), el("span", { class: "small" }, [one.category, one.language, !one.usable && one.status].filter(Boolean).join(" · ")), el("span", {}, one.body)))));
    this.modal(dialog);
  }

  // --- what is known --------------------------------------------------------------------------

  drawSide() {
    const { chat, words } = this, known = chat.known || {};
    const part = (title, ...content) => ({ title, content: content.flat().filter(Boolean) });
    const { owner_id, owner, summary, records, meeting, ad, consent, window, tags } = chat;
    const item = { key: "side", owner_id, owner, summary, known, records, meeting, meeting_id: chat.meeting_id, ad, consent, window, tags };
    if (!this.side.firstElementChild) this.side.append(el("div", { class: "side-place" }));
    keyed(this.side.firstElementChild, [item], () => {
      const parts = [];
      parts.push(part(words.owner, this.may.write
        ? el("select", { class: "input", "aria-label": words.owner, "data-focus": "owner", onchange: (event) => this.act({ do: "assign", user: event.target.value }) },
          el("option", { value: "", selected: !chat.owner_id }, words.nobody), this.people.map((one) => el("option", { value: one.id, selected: one.id === chat.owner_id }, one.name)))
        : el("p", {}, chat.owner || words.nobody)));
      if (chat.summary) parts.push(part(words.summary, el("p", { class: "lined" }, chat.summary)));
      if (known.stage) parts.push(part(words.stage, el("p", {}, el("strong", {}, known.stage)), known.next && el("p", { class: "small" }, known.next)));
      if (known.score) parts.push(part(words.score, el("div", { class: "score" }, el("span", { class: "score-value", role: "img", "aria-label": known.score.of }, known.score.value), el("ul", {}, known.score.reasons.map((one) => el("li", {}, one))))));
      if (known.evidence?.length) parts.push(part(words.evidence, el("dl", { class: "evidence" }, known.evidence.map((one) => el("div", {}, el("dt", {}, one.label),
        el("dd", {}, one.value ? el("span", {}, one.value) : el("span", { class: "unknown" }, words.unknown), one.quotes.map((quote) => quote.message
          ? el("button", { type: "button", class: "said", onclick: () => { if (this.root.dataset.at === "side" && !matchMedia("(min-width: 1180px)").matches) this.showSide(false); this.jump(quote.message); } }, `“${quote.text}”`)
          : el("q", { class: "said" }, quote.text))))))));
      if (chat.records.length) parts.push(part(words.records, el("ul", { class: "records" }, chat.records.map((one) => el("li", {}, el("span", { class: "small" }, one.label), el("a", { href: `/chat/view/crm_record/${one.id}`, target: "_blank" }, one.name))))));
      if (chat.meeting) parts.push(part(words.meeting, el("p", {}, chat.meeting), chat.meeting_id && el("div", { class: "buttons" },
        el("button", { type: "button", class: "button", "data-focus": "call-off", onclick: () => this.callOff(chat.meeting_id, chat.meeting) }, words.cancel_meeting))));
      if (chat.ad) parts.push(part(words.came_from, el("p", {}, el("strong", {}, chat.ad.title)), chat.ad.text && el("p", { class: "small" }, chat.ad.text), chat.ad.note && el("p", { class: "small" }, chat.ad.note)));
      parts.push(part(words.consent, el("p", { class: chat.consent.stopped ? "bad-text" : null }, chat.consent.label), chat.consent.detail && el("p", { class: "small" }, chat.consent.detail), this.heardConsent(chat.consent.acts)));
      if (chat.window) parts.push(part(words.window, el("p", {}, chat.window.label), chat.window.hint && el("p", { class: "small" }, chat.window.hint), chat.window.free && el("p", { class: "small" }, chat.window.free)));
      if (chat.tags.length || this.may.write) parts.push(part(words.tags, this.tags(chat)));
      return el("div", {},
        el("div", { class: "side-head" }, el("h2", { tabindex: "-1" }, words.known), el("button", { type: "button", class: "quiet round side-close", "aria-label": words.dismiss, onclick: () => this.showSide(false) }, icon("close"))),
        parts.map((one) => el("section", {}, el("h3", {}, one.title), one.content)));
    });
  }

  // The person is told, so it is asked first.
  callOff(meeting, when) {
    const { words } = this, reason = el("input", { id: "call-off-reason", class: "input", maxlength: "500", autocomplete: "off" });
    const dialog = el("dialog", { class: "dialog", "aria-label": words.cancel_meeting }, el("form", { onsubmit: (event) => { event.preventDefault(); dialog.close(); this.act({ do: "cancel_meeting", meeting, reason: reason.value }); } },
      el("div", { class: "dialog-head" }, el("h3", {}, words.cancel_meeting), el("button", { type: "button", class: "quiet round", "aria-label": words.dismiss, onclick: () => dialog.close() }, icon("close"))),
      el("p", {}, when), el("p", { class: "small" }, words.cancel_meeting_tells),
      el("label", { for: "call-off-reason", class: "small" }, words.cancel_meeting_reason), reason,
      el("div", { class: "buttons" }, el("button", { type: "submit", class: "button first" }, words.cancel_meeting))));
    this.modal(dialog);
    reason.focus();
  }

  // What the contact said to one of us about being written to, in their own words.
  heardConsent(acts) {
    const words = this.words;
    const open = (what) => {
      const said = el("textarea", { id: "consent-said", class: "input", rows: "3", maxlength: "500", required: true });
      const dialog = el("dialog", { class: "dialog", "aria-label": words[`consent_${what}`] }, el("form", { onsubmit: (event) => { event.preventDefault(); dialog.close(); this.act({ do: "consent", what, words: said.value }); } },
        el("div", { class: "dialog-head" }, el("h3", {}, words[`consent_${what}`]), el("button", { type: "button", class: "quiet round", "aria-label": words.dismiss, onclick: () => dialog.close() }, icon("close"))),
        el("label", { for: "consent-said", class: "small" }, words.consent_said), said,
        el("div", { class: "buttons" }, el("button", { type: "submit", class: "button first" }, words.consent_keep))));
      this.modal(dialog);
      said.focus();
    };
    return acts.length > 0 && el("div", { class: "buttons" }, acts.map((what) => el("button", { type: "button", class: "button", "data-focus": `consent-${what}`, onclick: () => open(what) }, words[`consent_${what}`])));
  }

  tags(chat) {
    const words = this.words, keep = (tags) => this.act({ do: "tag", tags });
    const list = chat.tags.length > 0 && el("ul", { class: "tags" }, chat.tags.map((one) => el("li", {}, one,
      this.may.write && el("button", { type: "button", "aria-label": fill(words.untag, { tag: one }), onclick: () => keep(chat.tags.filter((other) => other !== one)) }, "×"))));
    const input = el("input", { class: "input", maxlength: "40", "aria-label": words.new_tag, placeholder: words.new_tag, "data-focus": "tag", autocomplete: "off" });
    return [list, this.may.write && el("form", { class: "new-tag", onsubmit: (event) => {
      event.preventDefault();
      const tag = input.value.trim();
      if (tag && !chat.tags.includes(tag)) keep([...chat.tags, tag]);
    } }, input, el("button", { type: "submit", class: "quiet round", "aria-label": words.add_tag, title: words.add_tag }, icon("plus")))];
  }
}

takeTheme();
new Inbox(document.querySelector("main"));
