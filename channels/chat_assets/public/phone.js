// The phone of a lead, for the sandbox (channels/phone_page.py). Words and data come as JSON; all text becomes text
// nodes, never HTML. What the phone knows of WhatsApp is how its messages look.
import { drawing, el } from "./dom.js";

const DATA = "/sandbox/phone/data", FILE = "/sandbox/phone/file", MEDIA = "/sandbox/phone/media";
const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const EDITABLE = 15 * 60; // seconds, as on WhatsApp
const SHORTEST = 900; // milliseconds of a recording: less holds no sound yet
const ICONS = {
  send: "M4 12 20 4l-4 16-4-7z", mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
  clip: "M20 11 12 19a5 5 0 0 1-7-7l8-8a3.5 3.5 0 0 1 5 5l-8 8a2 2 0 0 1-3-3l7-7", stop: "M7 7h10v10H7z", file: "M6 3h8l4 4v14H6zM14 3v4h4",
  pin: "M12 21s7-6.5 7-11.5a7 7 0 0 0-14 0C5 14.5 12 21 12 21zM12 12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z", person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-5 5-6 8-6s7 1 8 6", clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 3",
};
const kept = { // which phone is in the hand: of this tab
  get: (name) => { try { return sessionStorage.getItem("phone." + name) || ""; } catch { return ""; } },
  set: (name, value) => { try { sessionStorage.setItem("phone." + name, value); } catch { /* private windows */ } },
};

const icon = (name) => drawing(ICONS[name], { "aria-hidden": "true" });

let words = {}, view = null, zone, number = kept.get("number"), contact = kept.get("contact");
let since = "", serial = 0, chain = Promise.resolve(), replying = null, editing = null, recorder = null;
const w = (key, values) => Object.entries(values || {}).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), words[key] || key);
const initials = (name) => ((name || "").match(/(?<![\p{L}\p{N}])[\p{L}\p{N}]/gu) || ["?"]).join("").slice(0, 2).toUpperCase();
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", timeZone: zone });
const pretty = (digits) => "+" + digits.replace(/^(55)(\d\d)(\d{4,5})(\d{4})$/, "$1 $2 $3-$4");

// --- speaking with the server ---

async function ask(address, asked) {
  const answer = await fetch(address, { credentials: "same-origin", ...asked });
  if (answer.status === 401) {
    location.assign("/chat/login");
    return new Promise(() => {});
  }
  let data = {};
  try { data = await answer.json(); } catch { /* told below */ }
  if (!answer.ok) throw new Error(data.error || answer.statusText);
  return data;
}
// One after the other: what was typed first arrives first.
function act(did) {
  const whole = JSON.stringify({ number, contact, ...did });
  const done = chain.then(() => ask(DATA, { method: "POST", headers: { "Content-Type": "application/json" }, body: whole }));
  chain = done.catch((error) => wrong(error.message));
  return done;
}
const trying = (promise) => promise.then(() => wrong(""), () => {});

async function look() {
  const run = ++serial;
  frame.waiting?.abort();
  for (;;) {
    frame.waiting = new AbortController();
    try {
      const found = await ask(`${DATA}?${new URLSearchParams({ number, contact, since })}`, { signal: frame.waiting.signal });
      if (run !== serial) return; // another phone was taken meanwhile
      if (found.words) start(found);
      since = String(found.version);
      view = found;
      number ||= found.number.number;
      draw();
      if (frame.offline) { frame.offline = false; wrong(""); }
    } catch (error) {
      if (run !== serial) return;
      frame.offline = true;
      wrong(error instanceof TypeError ? w("offline") : error.message);
      await new Promise((go) => setTimeout(go, 2_000));
      if (run !== serial) return;
    }
  }
}
function take(who) {
  contact = who;
  kept.set("contact", who);
  replying = editing = null;
  since = "";
  if (view) { view = { ...view, thread: null }; messages(null, false); }
  look();
}

// --- the page ---

const main = document.querySelector("main");
const parts = {}, frame = { offline: false };

function start(found) {
  words = found.words;
  zone = found.time_zone; // the company's own, as in the inbox: both are looked at side by side
  if (parts.log) return;
  document.documentElement.lang = found.language;
  document.title = w("title") + " · Mutirão";
  parts.people = el("ul", { class: "people" });
  parts.leads = el("div", { class: "leads" });
  parts.wrong = el("p", { class: "wrong", role: "alert" });
  parts.hooks = el("p", { class: "note", hidden: true });
  parts.log = el("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": w("messages"), tabindex: "0" });
  parts.head = el("div", { class: "head" });
  parts.bar = el("div", { class: "bar", "aria-hidden": "true" });
  parts.off = el("div", { class: "off", hidden: true }, el("p", {}, w("is_off")), el("button", { class: "main", type: "button", onclick: () => trying(act({ do: "line", value: "on" })) }, w("switch_on")));
  parts.noline = el("p", { class: "note in", hidden: true }, w("is_airplane"));
  parts.replying = el("div", { class: "replying", hidden: true });
  parts.box = el("textarea", { rows: "1", "aria-label": w("write"), placeholder: w("write"), maxlength: "4096", onkeydown: key, oninput: button });
  parts.go = el("button", { class: "round go", type: "button", onclick: press });
  parts.recording = el("span", { class: "recording", role: "status", hidden: true });
  parts.clip = el("button", { class: "round", type: "button", "aria-label": w("attach"), title: w("attach"), "aria-haspopup": "menu", onclick: (event) => clip(event.currentTarget) }, icon("clip"));
  parts.writing = el("div", { class: "write" }, parts.clip, parts.box, parts.recording, parts.go);
  parts.tools = el("div", { class: "card stack" });
  parts.file = el("input", { type: "file", hidden: true, onchange: () => { for (const file of parts.file.files) attach(file); parts.file.value = ""; } });
  main.replaceChildren(
    el("div", { class: "side people-side" },
      el("section", { class: "card" }, el("h1", {}, w("title")), el("p", { class: "soft" }, w("about")), parts.hooks, parts.wrong),
      el("section", { class: "card" }, el("h2", {}, w("phones")), parts.people,
        el("p", {}, el("button", { class: "plain", type: "button", onclick: () => fresh() }, w("new_contact"))))),
    el("section", { class: "phone", "aria-label": w("title") }, parts.bar, parts.head, parts.log, parts.noline, parts.replying, parts.writing, parts.off, parts.file),
    el("div", { class: "side tools" }, parts.tools,
      el("section", { class: "card" }, el("h2", {}, w("leads")), el("p", { class: "soft" }, w("leads_about")), parts.leads),
      el("section", { class: "card" }, el("h2", {}, w("other_side")), el("p", { class: "soft" }, w("other_side_about")),
        el("a", { class: "link", href: "/chat/inbox", target: "_blank", rel: "noopener" }, w("open_inbox")))),
  );
  button();
  // A picture that comes later must not push the newest words out of sight.
  parts.log.addEventListener("load", () => { if (frame.atEnd) parts.log.scrollTop = parts.log.scrollHeight; }, true);
  parts.log.addEventListener("scroll", () => { frame.atEnd = parts.log.scrollHeight - parts.log.scrollTop - parts.log.clientHeight < 80; });
  document.addEventListener("visibilitychange", () => view && read());
}

function draw() {
  const thread = view.thread, who = thread && thread.contact;
  const line = who ? who.line : "on";
  people();
  leads();
  tools(who);
  hooks();
  parts.bar.replaceChildren(el("span", {}, clock(Date.now() / 1000)), el("span", {}, who ? (line === "airplane" ? "✈" : pretty(who.phone)) : ""));
  const typing = thread && thread.typing && line === "on";
  parts.head.replaceChildren(el("span", { class: "face", "aria-hidden": "true" }, initials(view.number.name)),
    el("div", {}, el("b", {}, view.number.name), el("small", { "aria-live": "polite" }, typing ? w("typing") : w("business"))));
  parts.off.hidden = line !== "off";
  parts.noline.hidden = line !== "airplane";
  parts.writing.hidden = !contact;
  parts.box.disabled = line === "off";
  clearTimeout(frame.typing);
  if (typing) frame.typing = setTimeout(() => { thread.typing = false; draw(); }, thread.typing_for * 1000);
  messages(thread, typing);
  read();
}

// A notice under way is nothing to tell; one that stays is.
function hooks() {
  const waits = view.hooks.pending;
  if (!waits) {
    clearTimeout(frame.hooks);
    frame.hooks = null;
    parts.hooks.hidden = true;
  } else frame.hooks ||= setTimeout(() => { parts.hooks.textContent = w("not_taken", { count: view.hooks.pending }); parts.hooks.hidden = false; }, 4_000);
}

function wrong(text) { if (parts.wrong) parts.wrong.textContent = text; else if (text) main.textContent = text; }

const shows = (one) => one.direction === "in" || one.statuses.some((told) => told[0] === "delivered" || told[0] === "read") || one.body.type === "reaction";
const unread = (one) => one.direction === "out" && one.body.type !== "reaction" && one.status === "delivered";

function read() {
  const thread = view.thread;
  if (!thread || document.hidden || thread.contact.line !== "on" || !thread.messages.some(unread)) return;
  if (frame.reading === view.version) return;
  frame.reading = view.version;
  act({ do: "read" }).catch(() => {});
}

// --- who one may be ---

function people() {
  const rows = view.threads.map((row) => el("li", {}, el("button", {
    class: "person", type: "button", "aria-current": row.wa_id === contact ? "true" : null, onclick: () => take(row.wa_id) },
    el("span", { class: "face", "aria-hidden": "true" }, initials(row.name)),
    el("span", {}, el("b", {}, row.name), el("small", {}, row.last ? preview(row.last) : pretty(row.phone))),
    row.unread > 0 && row.wa_id !== contact && el("span", { class: "badge", "aria-label": w("unread", { count: row.unread }) }, String(row.unread)))));
  if (contact && view.thread && !view.threads.some((row) => row.wa_id === contact)) {
    const who = view.thread.contact;
    rows.unshift(el("li", {}, el("button", { class: "person", type: "button", "aria-current": "true" },
      el("span", { class: "face", "aria-hidden": "true" }, initials(who.name)), el("span", {}, el("b", {}, who.name), el("small", {}, pretty(who.phone))))));
  }
  const focused = parts.people.contains(document.activeElement) ? [...parts.people.children].indexOf(document.activeElement.closest("li")) : -1;
  parts.people.replaceChildren(...(rows.length ? rows : [el("li", { class: "soft" }, w("nobody"))]));
  if (focused >= 0 && parts.people.children[focused]) parts.people.children[focused].querySelector("button")?.focus();
}

function leads() {
  const told = JSON.stringify(view.leads);
  if (frame.leads === told) return;
  frame.leads = told;
  parts.leads.parentElement.hidden = !view.leads.length;
  parts.leads.replaceChildren(...view.leads.map((lead) => el("div", { class: "lead" },
    el("b", {}, lead.name),
    el("button", { class: "plain", type: "button", onclick: () => {
      trying(act({ do: "play", lead: lead.id, stop: lead.playing }));
      if (!lead.playing) take(lead.wa_id);
    } }, w(lead.playing ? "stop_lead" : "let_talk")),
    el("small", {}, lead.about))));
}

function tools(who) {
  const told = JSON.stringify([who, number, view.numbers]);
  if (frame.tools === told) return;
  frame.tools = told;
  const set = (value) => trying(act({ do: "line", value }));
  parts.tools.replaceChildren(...[el("h2", {}, who ? w("phone_of", { name: who.name }) : w("no_phone")),
    view.numbers.length > 1 && el("label", { class: "stack" }, el("span", {}, w("writes_to")), el("select", { onchange: (event) => { number = event.target.value; kept.set("number", number); take(contact); } },
      view.numbers.map((one) => el("option", { value: one.number, selected: one.number === view.number.number }, `${one.name} ${pretty(one.phone)}`)))),
    ...(who && view.number.provider !== "whatsapp_cloud" ? [el("p", { class: "soft" }, pretty(who.phone)), el("p", { class: "soft" }, w("plain_web"))] : who ? [
      el("p", { class: "soft" }, pretty(who.phone)),
      el("button", { class: "plain", type: "button", "aria-pressed": String(who.line === "airplane"), onclick: () => set(who.line === "airplane" ? "on" : "airplane") }, w(who.line === "airplane" ? "airplane_off" : "airplane_on")),
      el("button", { class: "plain", type: "button", "aria-pressed": String(who.line === "off"), onclick: () => set(who.line === "off" ? "on" : "off") }, w(who.line === "off" ? "switch_on" : "switch_off")),
      el("button", { class: "plain", type: "button", "aria-pressed": String(who.stopped), onclick: () => trying(act({ do: "marketing", value: who.stopped ? "resume" : "stop" })) }, w(who.stopped ? "marketing_resume" : "marketing_stop")),
      el("button", { class: "plain", type: "button", onclick: () => move(who) }, w("move")),
    ] : [el("p", { class: "soft" }, w("choose_phone"))])].filter(Boolean));
}

function ask_in(title, fields, label, done) {
  const form = el("form", { method: "dialog", class: "stack" }, el("h2", {}, title),
    fields.map(([name, text, value, type]) => el("label", { class: "stack" }, el("span", {}, text), el("input", { name, type: type || "text", value, required: true, maxlength: "100", autocomplete: "off" }))),
    el("p", { class: "wrong", role: "alert" }),
    el("div", { class: "row" }, el("button", { class: "main", type: "submit" }, label), el("button", { class: "plain", type: "button", onclick: () => dialog.close() }, w("cancel"))));
  const dialog = el("dialog", { onclose: () => dialog.remove() }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await done(Object.fromEntries(new FormData(form)));
      dialog.close();
    } catch (error) { form.querySelector(".wrong").textContent = error.message; }
  });
  document.body.append(dialog);
  dialog.showModal();
}
function fresh() {
  const digits = "55199" + String(Math.floor(Math.random() * 1e8)).padStart(8, "0");
  ask_in(w("new_contact"), [["name", w("name"), ""], ["contact", w("phone_number"), pretty(digits), "tel"]], w("create"), async (told) => {
    const made = await act({ do: "meet", name: told.name, contact: told.contact });
    take(made.wa_id);
    parts.box.focus();
  });
}
function move(who) {
  ask_in(w("move"), [["to", w("new_number"), "", "tel"]], w("move"), async (told) => take((await act({ do: "move", contact: who.wa_id, to: told.to })).wa_id));
}

// --- messages ---

const kindName = (kind) => w("kind_" + kind) === "kind_" + kind ? kind : w("kind_" + kind);
function preview(one) {
  const type = one.body.type, body = one.body[type] || {};
  if (one.seen) return one.seen.body;
  if (type === "text") return body.body;
  if (type === "button") return body.text;
  if (type === "interactive") return body.body ? body.body.text : (body.button_reply || body.list_reply || {}).title;
  if (type === "reaction") return w("reacted", { emoji: body.emoji || "" });
  if (type === "revoke") return w("taken_back");
  if (type === "edit") return body.message && body.message.text ? body.message.text.body : "";
  if (type === "system") return w("moved");
  return body.caption || body.filename || kindName(type);
}

function messages(thread, typing) {
  const log = parts.log;
  const nearEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (!thread) {
    frame.drawn = "";
    log.replaceChildren(el("p", { class: "empty" }, contact ? w("say_hello") : w("choose_phone")));
    return;
  }
  const told = JSON.stringify([thread.messages, contact, typing]);
  if (frame.drawn === told) return;
  frame.drawn = told;
  const edits = {}, gone = new Set(), reactions = {}, byId = {};
  for (const one of thread.messages) {
    const body = one.body[one.body.type] || {};
    byId[one.id] = one;
    if (one.body.type === "edit") edits[body.original_message_id] = body.message.text.body;
    if (one.body.type === "revoke") gone.add(body.original_message_id);
    if (one.body.type === "reaction") (reactions[body.message_id] ||= {})[one.direction] = body.emoji || "";
  }
  const chosen = new Set(thread.messages.filter((one) => one.direction === "in" && one.reply_to && ["button", "interactive"].includes(one.body.type)).map((one) => one.reply_to));
  const nodes = [];
  let day = "", before = "";
  for (const one of thread.messages) {
    if (["edit", "revoke", "reaction"].includes(one.body.type) || !shows(one)) continue;
    const date = new Date(one.at * 1000).toLocaleDateString(document.documentElement.lang, { weekday: "long", day: "numeric", month: "long", timeZone: zone });
    if (date !== day) { nodes.push(el("div", { class: "day" }, date)); day = date; before = ""; }
    if (one.body.type === "system") { nodes.push(el("div", { class: "system" }, w("moved"))); before = ""; continue; }
    nodes.push(message(one, { edited: edits[one.id], gone: gone.has(one.id), reactions: reactions[one.id], byId, first: one.direction !== before, chosen: chosen.has(one.id) }));
    before = one.direction;
  }
  if (!nodes.length) nodes.push(el("p", { class: "empty" }, w("say_hello")));
  if (typing) nodes.push(el("div", { class: "msg first" }, el("div", { class: "bubble", "aria-label": w("typing") }, el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")))));
  // What is playing or was loaded stays: nodes of unchanged messages are kept.
  const old = new Map([...log.children].filter((node) => node.told).map((node) => [node.told, node]));
  log.replaceChildren(...nodes.map((node) => old.get(node.told) || node));
  if (nearEnd || frame.of !== contact) log.scrollTop = log.scrollHeight;
  frame.of = contact;
}

function message(one, about) {
  const mine = one.direction === "in", type = one.body.type, body = one.body[type] || {};
  const inside = [], below = [];
  if (about.gone) inside.push(el("span", { class: "gone" }, w("taken_back")));
  else {
    if (one.reply_to) inside.push(quote(about.byId[one.reply_to]));
    if (one.seen) template(one, inside, below, about);
    else if (type === "interactive" && body.body) interactive(one, body, inside, below, about);
    else if (type === "interactive") { const reply = body.button_reply || body.list_reply || {}; inside.push(text(reply.title), reply.description && el("div", { class: "footer" }, reply.description)); }
    else if (type === "button") inside.push(text(body.text));
    else if (type === "text") inside.push(text(about.edited || body.body));
    else if (type === "location") inside.push(el("span", { class: "file" }, icon("pin"), body.name || `${body.latitude}, ${body.longitude}`), body.address && el("div", { class: "footer" }, body.address));
    else if (type === "contacts") for (const card of body) inside.push(el("span", { class: "file" }, icon("person"), card.name.formatted_name + " " + ((card.phones || [])[0] || { phone: "" }).phone));
    else inside.push(media(type, body), body.caption && text(body.caption));
  }
  const meta = el("span", { class: "meta" }, about.edited && !about.gone && w("edited"), clock(one.at), mine && tick(one));
  const emojis = about.gone ? "" : [...new Set(Object.values(about.reactions || {}))].join("");
  const node = el("div", { class: "msg" + (mine ? " mine" : "") + (about.first ? " first" : "") + (emojis ? " reacted" : "") },
    el("div", { class: "bubble" }, el("span", { class: "sr" }, (mine ? w("you") : view.number.name) + ": "), inside, meta), below,
    emojis && el("span", { class: "react" }, emojis),
    !about.gone && el("button", { class: "more", type: "button", "aria-label": w("more"), "aria-haspopup": "menu", onclick: (event) => menu(event.currentTarget, one, about) }, "⌄"));
  node.told = JSON.stringify([one, about.edited, about.gone, emojis, about.first, about.chosen, one.reply_to && !!about.byId[one.reply_to]]);
  return node;
}

function tick(one) {
  if (one.held) return el("span", { class: "held", role: "img", "aria-label": w("tick_held"), title: w("tick_held") }, icon("clock"));
  const seen = one.status === "read";
  return el("span", { class: "tick" + (seen ? " read" : ""), role: "img", "aria-label": w(seen ? "tick_read" : "tick_delivered"), title: w(seen ? "tick_read" : "tick_delivered") }, "✓✓");
}

function quote(of) {
  const who = !of ? "" : of.direction === "in" ? w("you") : view.number.name;
  return el("span", { class: "quote" }, el("b", {}, who), of ? preview(of) : w("older"));
}

// *bold*, _italic_, ~struck~, ```code``` and addresses, as WhatsApp shows them.
function text(said) {
  const node = el("span", { class: "text" }), marks = { "*": "strong", "_": "em", "~": "s" };
  const form = /```([\s\S]+?)```|(?<![\p{L}\p{N}])([*_~])(?=\S)([^\n]*?\S)\2(?![\p{L}\p{N}])|(https?:\/\/[^\s]+)/gu;
  let at = 0;
  for (const found of String(said || "").matchAll(form)) {
    node.append(said.slice(at, found.index));
    if (found[1]) node.append(el("code", {}, found[1]));
    else if (found[2]) node.append(el(marks[found[2]], {}, found[3]));
    else node.append(link(found[4], found[4]));
    at = found.index + found[0].length;
  }
  node.append(String(said || "").slice(at));
  return node;
}
function link(url, label, extra) {
  return /^https?:\/\//.test(url || "") ? el("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow", ...extra }, label) : el("span", extra, label);
}

function media(kind, body) {
  const url = body.id ? `${MEDIA}?id=${encodeURIComponent(body.id)}` : null;
  if (!url) return body.link ? link(body.link, w("media_elsewhere"), { class: "file" }) : el("span", { class: "file" }, kindName(kind));
  if (kind === "image" || kind === "sticker") return el("img", { src: url, alt: body.caption || kindName(kind), loading: "lazy" });
  if (kind === "video") return el("video", { src: url, controls: true, preload: "metadata" });
  if (kind === "audio") return el("audio", { src: url, controls: true, preload: "metadata", "aria-label": kindName("audio") });
  return el("a", { class: "file", href: url, download: body.filename || "arquivo" }, icon("file"), body.filename || kindName(kind));
}

const choose = (one, choice) => trying(act({ do: "choose", of: one.id, ...choice }));

function interactive(one, body, inside, below, about) {
  const header = body.header;
  if (header) inside.push(header.type === "text" ? el("div", { class: "header" }, header.text) : media(header.type, header[header.type]));
  inside.push(text(body.body.text), body.footer && el("div", { class: "footer" }, body.footer.text));
  if (body.type === "button") for (const button of body.action.buttons) {
    below.push(el("button", { class: "choice", type: "button", disabled: about.chosen, onclick: () => choose(one, { kind: "button", id: button.reply.id, title: button.reply.title }) }, button.reply.title));
  }
  if (body.type === "list") below.push(el("button", { class: "choice", type: "button", "aria-haspopup": "dialog", onclick: () => list(one, body) }, "☰ " + body.action.button));
  if (body.type === "cta_url") below.push(link(body.action.parameters.url, "↗ " + body.action.parameters.display_text, { class: "choice" }));
}

function list(one, body) {
  const form = el("form", { method: "dialog" }, el("h2", {}, body.action.button),
    el("div", { class: "rows" }, body.action.sections.map((section) => [section.title && el("h3", {}, section.title),
      section.rows.map((row) => el("label", {}, el("span", {}, row.title), row.description && el("small", {}, row.description), el("input", { type: "radio", name: "row", value: row.id, required: true })))])),
    el("div", { class: "row" }, el("button", { class: "main", type: "submit" }, w("send")), el("button", { class: "plain", type: "button", onclick: () => dialog.close() }, w("cancel"))));
  const dialog = el("dialog", { onclose: () => dialog.remove() }, form);
  form.addEventListener("submit", () => {
    const row = body.action.sections.flatMap((section) => section.rows).find((each) => each.id === new FormData(form).get("row"));
    if (row) choose(one, { kind: "row", id: row.id, title: row.title, description: row.description });
  });
  document.body.append(dialog);
  dialog.showModal();
}

function template(one, inside, below, about) {
  const seen = one.seen;
  if (seen.media) inside.push(media(seen.media.kind, seen.media));
  if (seen.header) inside.push(el("div", { class: "header" }, seen.header));
  inside.push(text(seen.body), seen.footer && el("div", { class: "footer" }, seen.footer));
  for (const button of seen.buttons) {
    if (button.kind === "url") below.push(link(button.url, "↗ " + button.text, { class: "choice" }));
    else below.push(el("button", { class: "choice", type: "button", disabled: about.chosen || button.kind !== "quick_reply", onclick: () => choose(one, { kind: "template", id: button.payload, title: button.text }) }, button.text));
  }
}

// --- menus ---

function pop(from, ...content) {
  document.querySelector(".pop")?.remove();
  const box = el("div", { class: "pop", role: "menu" }, content), close = () => {
    box.remove();
    from.removeAttribute("aria-expanded");
    document.removeEventListener("pointerdown", outside, true);
  };
  const outside = (event) => box.contains(event.target) || close();
  box.addEventListener("click", close);
  box.addEventListener("keydown", (event) => {
    const all = [...box.querySelectorAll("button")], step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") { close(); from.focus(); }
    if (step) { event.preventDefault(); all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus(); }
  });
  document.body.append(box);
  from.setAttribute("aria-expanded", "true");
  const at = from.getBoundingClientRect(), size = box.getBoundingClientRect();
  box.style.left = Math.max(8, Math.min(at.left, innerWidth - size.width - 8)) + "px";
  box.style.top = (at.bottom + size.height > innerHeight - 8 ? Math.max(8, at.top - size.height) : at.bottom) + "px";
  document.addEventListener("pointerdown", outside, true);
  box.querySelector("button").focus();
}
const item = (label, onclick) => el("button", { type: "button", role: "menuitem", onclick }, label);

function menu(from, one, about) {
  const mine = one.direction === "in", now = (about.reactions || {}).in;
  const young = Date.now() / 1000 - one.at < EDITABLE;
  pop(from,
    el("div", { class: "emojis" }, EMOJIS.map((emoji) => el("button", { type: "button", role: "menuitem", "aria-label": w("react") + " " + emoji, onclick: () => trying(act({ do: "react", of: one.id, emoji: now === emoji ? "" : emoji })) }, emoji))),
    item(w("reply"), () => { replying = one; editing = null; answering(); parts.box.focus(); }),
    mine && one.body.type === "text" && young && item(w("edit"), () => { editing = one; replying = null; parts.box.value = about.edited || one.body.text.body; answering(); button(); parts.box.focus(); }),
    mine && item(w("take_back"), () => trying(act({ do: "take_back", of: one.id }))));
}

function clip(from) {
  const pick = (accept) => () => { parts.file.accept = accept; parts.file.click(); };
  pop(from, item(w("attach_image"), pick("image/jpeg,image/png,video/mp4")), item(w("attach_document"), pick("")),
    item(w("attach_audio"), pick("audio/*")), item(w("sample_voice"), sample), item(w("sample_image"), () => bundled("foto.jpg", "image/jpeg")),
    item(w("sample_pdf"), () => bundled("proposta.pdf", "application/pdf")),
    item(w("attach_sticker"), pick("image/webp")), item(w("attach_card"), () => trying(act({ do: "card", name: w("sample_card"), phone: "+55 19 99888-0007" }))),
    item(w("attach_place"), () => trying(act({ do: "place", latitude: -22.9056, longitude: -47.0608, name: w("sample_place") }))));
}

function answering() {
  const of = replying || editing;
  parts.replying.hidden = !of;
  if (of) parts.replying.replaceChildren(el("span", {}, w(editing ? "editing" : "replying_to") + ": " + preview(of)),
    el("button", { class: "plain", type: "button", "aria-label": w("cancel"), onclick: () => { if (editing) parts.box.value = ""; replying = editing = null; answering(); button(); } }, "✕"));
}

// --- writing ---

function key(event) {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
  if (event.key === "Escape" && (replying || editing)) parts.replying.querySelector("button").click();
}
function button() {
  const wants = recorder ? "stop" : parts.box.value.trim() ? "send" : "mic";
  if (parts.go.dataset.wants === wants) return;
  parts.go.dataset.wants = wants;
  parts.go.className = "round go" + (wants === "stop" ? " rec" : "");
  const label = w({ stop: "record_send", send: "send", mic: "record" }[wants]);
  parts.go.setAttribute("aria-label", label);
  parts.go.title = label;
  parts.go.replaceChildren(icon(wants === "stop" ? "send" : wants));
}
function press() {
  if (recorder) { const it = recorder; setTimeout(() => it.state === "recording" && it.stop(), Math.max(0, frame.begun + SHORTEST - Date.now())); }
  else if (parts.box.value.trim()) send();
  else record();
}
function send() {
  const body = parts.box.value.trim();
  if (!body || !contact) return;
  const did = editing ? { do: "edit", of: editing.id, body } : { do: "text", body, reply_to: replying ? replying.id : undefined };
  parts.box.value = "";
  replying = editing = null;
  answering();
  button();
  parts.log.scrollTop = parts.log.scrollHeight;
  act(did).then(() => wrong(""), () => { if (!parts.box.value) { parts.box.value = body; button(); } });
}

async function record() {
  if (!navigator.mediaDevices || !window.MediaRecorder) return wrong(w("no_microphone"));
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const form = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
    const pieces = [], begun = frame.begun = Date.now();
    recorder = new MediaRecorder(stream, form ? { mimeType: form } : {});
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      clearInterval(frame.counting);
      const type = recorder.mimeType;
      recorder = null;
      parts.recording.hidden = true;
      parts.box.hidden = false;
      button();
      upload("audio", new Blob(pieces, { type }), "voz", type, true);
    };
    recorder.start();
    const count = () => { const s = Math.floor((Date.now() - begun) / 1000); parts.recording.textContent = `● ${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`; };
    count();
    frame.counting = setInterval(count, 500);
    parts.recording.hidden = false;
    parts.box.hidden = true;
    button();
  } catch { wrong(w("no_microphone")); }
}

function attach(file) {
  const type = file.type || "application/octet-stream";
  const kind = ["image/jpeg", "image/png"].includes(type) ? "image" : type === "image/webp" ? "sticker" : type.startsWith("audio/") ? "audio" : type === "video/mp4" ? "video" : "document";
  const caption = kind === "audio" || kind === "sticker" ? "" : parts.box.value.trim();
  if (caption) { parts.box.value = ""; button(); }
  upload(kind, file, file.name, type, false, caption);
}
function upload(kind, content, name, mime, voice, caption) {
  const asked = new URLSearchParams({ number, contact, kind, name, mime, caption: caption || "", voice: voice ? "1" : "", reply_to: replying ? replying.id : "" });
  replying = null;
  answering();
  const done = chain.then(() => ask(`${FILE}?${asked}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: content }));
  chain = done.then(() => wrong(""), (error) => wrong(error.message));
}
async function bundled(name, type, kind) {
  try {
    const answer = await fetch("/chat/public/phone_samples/" + name);
    if (!answer.ok) throw new Error(answer.statusText);
    const content = await answer.blob();
    if (kind === "audio") upload("audio", content, name, type, true);
    else attach(new File([content], name, { type }));
  } catch (error) { wrong(error.message); }
}
const sample = () => bundled(`voice_${document.documentElement.lang.slice(0, 2)}.ogg`, "audio/ogg; codecs=opus", "audio");

look();
