// Draws views of the CRM (channels/crm_views.py) where the chat shows a link to one, and on a page of their own.
//
// The server gives ready words as JSON and takes what is done as JSON; all text becomes text nodes, never HTML. A view
// is an element of its own, put beside what Chainlit's React owns, so that neither touches the other's nodes.
import { el, outside, takeTheme } from "./dom.js";

const DATA = "/chat/data/view";
const PAGE = /^\/chat\/view\/([a-z_]+)(?:\/([\w-]+))?$/;
const CHANGED = "mutirao:changed"; // told to the other views of the page after something was done in one

const fill = (text, title) => text.replace("{title}", title);
const initials = (name) => name.split(/\s+/).map((part) => part[0]).join("").slice(0, 2).toUpperCase();
let serial = 0; // ids of our own in a page that is not

class View extends HTMLElement {
  connectedCallback() {
    if (this.trail) return;
    const [, kind, subject = ""] = PAGE.exec(this.getAttribute("src")) || [];
    this.trail = [{ kind, subject }];
    this.each = PAGE.test(location.pathname) ? 20 : 8; // cards of a column: in the chat there is more to see
    this.status = el("p", { class: "view-said", role: "status", "aria-live": "polite" });
    this.place = el("div", { class: "view-place" });
    this.append(this.place, this.status);
    this.onChanged = (event) => this.data && event.detail !== this && !this.contains(document.activeElement) && this.load();
    document.addEventListener(CHANGED, this.onChanged);
    // A long conversation has many views: each is read when it comes near the window.
    this.near = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      this.near.disconnect();
      this.load();
    }, { rootMargin: "400px" });
    this.near.observe(this);
  }

  disconnectedCallback() {
    this.near.disconnect();
    document.removeEventListener(CHANGED, this.onChanged);
  }

  get now() {
    return this.trail[this.trail.length - 1];
  }

  // --- speaking with the server ---

  async ask(did) {
    const at = new URLSearchParams({ kind: this.now.kind, subject: this.now.subject, each: this.each });
    const asked = did
      ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(did) }
      : {};
    const answer = await fetch(`${DATA}?${at}`, { ...asked, credentials: "same-origin" });
    if (answer.status === 401) location.assign("/chat/login");
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.error || answer.statusText);
    return data;
  }

  async load(focus) {
    this.setAttribute("aria-busy", "true");
    try {
      this.draw(await this.ask(), focus);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    } finally {
      this.removeAttribute("aria-busy");
    }
  }

  // Do something once, show what came of it, and go back to where the person was.
  async act(did, focus) {
    if (this.hasAttribute("aria-busy")) return false;
    this.setAttribute("aria-busy", "true");
    try {
      const data = await this.ask({ once: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()), ...did });
      this.draw(data, focus);
      this.say(data.said);
      document.dispatchEvent(new CustomEvent(CHANGED, { detail: this }));
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    } finally {
      this.removeAttribute("aria-busy");
    }
  }

  say(text) {
    clearTimeout(this.fading);
    this.status.className = "view-said";
    this.status.setAttribute("role", "status");
    this.status.textContent = text || "";
    if (text) this.fading = setTimeout(() => this.say(""), 12_000);
  }

  fail(error) {
    clearTimeout(this.fading);
    const offline = error instanceof TypeError;
    this.status.className = "view-said view-wrong";
    this.status.setAttribute("role", "alert");
    this.status.textContent = offline ? (this.words && this.words.offline) || "…" : error.message;
    if (!this.words) this.status.append(" ", el("button", { type: "button", onclick: () => this.load() }, "↻"));
  }

  async open(subject) {
    this.trail.push({ kind: "crm_record", subject });
    this.say("");
    if (!(await this.load("title"))) this.trail.pop();
  }

  back() {
    const left = this.trail.pop();
    this.say("");
    this.load(left.subject);
  }

  // --- drawing ---

  draw(data, focus) {
    this.folds = null;
    this.words = data.words;
    this.data = data;
    this.lang = data.language;
    const scrolled = this.querySelector(".view-board");
    const left = scrolled ? scrolled.scrollLeft : 0;
    this.place.replaceChildren(this.header(data), data.kind === "crm_board" ? this.board(data) : this.record(data));
    const board = this.querySelector(".view-board");
    if (board) board.scrollLeft = left;
    const target = focus && this.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
    if (target) target.focus({ preventScroll: false });
  }

  header(data) {
    const words = this.words;
    const alone = PAGE.test(location.pathname);
    const path = `/chat/view/${this.now.kind}${this.now.subject ? `/${this.now.subject}` : ""}`;
    return el("header", { class: "view-head" },
      this.trail.length > 1 &&
        el("button", { type: "button", class: "view-quiet view-back", onclick: () => this.back() }, "← ", words.back),
      el("div", { class: "view-name" },
        el("h2", { tabindex: "-1", "data-focus": "title" }, data.title),
        data.subtitle && el("p", { class: "view-small" }, data.subtitle)),
      !alone && el("a", { class: "view-quiet", href: path, target: "_blank", title: words.alone,
        "aria-label": words.alone }, el("span", { class: "view-wide-only" }, words.alone, " "), "↗"));
  }

  // --- the board ---

  board(data) {
    if (data.empty) return el("p", { class: "view-empty" }, data.empty);
    return el("div", { class: "view-board", role: "group", "aria-label": this.words.columns, tabindex: "0" },
      data.columns.map((column) => this.column(column, data)));
  }

  column(column, data) {
    const words = this.words;
    const title = `view-${column.id}-${++serial}`;
    const section = el("section", { class: `view-column view-${column.kind}`, "aria-labelledby": title },
      el("div", { class: "view-column-head" },
        el("h3", { id: title }, column.name, " ",
          el("span", { class: "view-count", "aria-label": column.counted }, String(column.count))),
        el("p", { class: "view-sum" }, column.sums.join(" + ") || "\u00a0")),
      column.cards.length
        ? el("ul", {}, column.cards.map((card) => el("li", {}, this.card(card, column, data))))
        : el("p", { class: "view-small view-none" }, words.none),
      column.more && el("p", { class: "view-small view-more" }, column.more, " ",
        el("button", { type: "button", class: "view-quiet", onclick: () => { this.each += 20; this.load(); } }, words.more)));
    if (data.may_change) this.takesCards(section, column, data);
    return section;
  }

  card(card, column, data) {
    const words = this.words;
    const article = el("article", { class: "view-card", draggable: data.may_change ? "true" : null },
      el("button", { type: "button", class: "view-title", "data-focus": card.id, onclick: () => this.open(card.id) }, card.title),
      card.about.length > 0 && el("p", { class: "view-small" },
        card.about.map((one, n) => [n ? " · " : "",
          el("button", { type: "button", class: "view-link", onclick: () => this.open(one.id) }, one.name)])),
      el("p", { class: "view-row" },
        el("span", { class: card.amount ? "view-amount" : "view-small" }, card.amount || words.no_amount),
        card.owner && el("span", { class: "view-face", title: `${words.owner}: ${card.owner}`, role: "img",
          "aria-label": `${words.owner}: ${card.owner}` }, initials(card.owner))),
      card.task && el("p", { class: `view-task${card.task.late ? " view-late" : ""}` },
        el("span", { "aria-hidden": "true" }, "○ "), card.task.title,
        card.task.due && el("span", { class: "view-small" }, ` ${card.task.due}${card.task.late ? `, ${words.late}` : ""}`)),
      card.lost_reason && el("p", { class: "view-small" }, card.lost_reason),
      el("div", { class: "view-foot" },
        el("span", { class: "view-small", title: words.in_stage }, card.since),
        data.may_change && this.mover(card, column.id, data.columns)));
    if (data.may_change) {
      article.addEventListener("dragstart", (event) => {
        this.dragged = { card, from: column.id };
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", card.title);
        article.classList.add("view-dragged");
      });
      article.addEventListener("dragend", () => {
        this.dragged = null;
        article.classList.remove("view-dragged");
      });
    }
    return article;
  }

  takesCards(section, column, data) {
    let over = 0;
    const mine = () => this.dragged && this.dragged.from !== column.id;
    const light = (on) => section.classList.toggle("view-over", on);
    section.addEventListener("dragenter", () => { if (mine()) { over += 1; light(true); } });
    section.addEventListener("dragleave", () => { if (mine()) { over -= 1; light(over > 0); } });
    section.addEventListener("dragover", (event) => { if (mine()) event.preventDefault(); });
    section.addEventListener("drop", (event) => {
      over = 0;
      light(false);
      if (!mine()) return;
      event.preventDefault();
      this.move(this.dragged.card, column);
    });
  }

  // The same by keyboard, by touch and for who hears the page: a list of the other stages that opens in the card.
  mover(card, present, stages) {
    const words = this.words;
    const list = el("div", { class: "view-stages", hidden: true, id: `view-move-${card.id}-${++serial}` },
      stages.filter((stage) => stage.id !== present).map((stage) =>
        el("button", { type: "button", class: `view-to view-to-${stage.kind}`, onclick: () => this.move(card, stage) },
          stage.name)));
    const opener = el("button", { type: "button", class: "view-quiet view-mover", "aria-expanded": "false",
      "aria-controls": list.id, "aria-label": fill(words.move_to, card.title), onclick: () => unfold(list.hidden) }, words.move);
    const unfold = (open) => {
      this.say("");
      if (open && this.folds) this.folds();
      this.folds = open ? () => unfold(false) : null;
      list.hidden = !open;
      opener.setAttribute("aria-expanded", String(open));
    };
    list.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { unfold(false); opener.focus(); }
    });
    return [opener, list];
  }

  async move(card, stage) {
    const did = { do: "move", deal: card.id, stage: stage.id };
    if (stage.kind === "lost") {
      const words = this.words;
      const answers = await this.dialog(fill(words.lost_title, card.title), words.lost_hint, words.reason, words.lose);
      if (!answers) return;
      did.reason = answers;
    }
    await this.act(did, this.now.kind === "crm_board" ? card.id : "title");
  }

  // A question with one line of text: the text (" " for none), or null when the person thinks better of it.
  dialog(title, hint, label, yes) {
    return new Promise((resolve) => {
      const text = el("textarea", { rows: "3", maxlength: "1000", id: `view-dialog-${++serial}` });
      const before = document.activeElement;
      const dialog = el("dialog", { class: "view-dialog", "aria-label": title },
        el("form", { method: "dialog" },
          el("h3", {}, title),
          el("p", { class: "view-small" }, hint),
          el("label", { for: text.id }, label), text,
          el("div", { class: "view-buttons" },
            el("button", { value: "", class: "view-button", formnovalidate: true }, this.words.cancel),
            el("button", { value: "yes", class: "view-button view-first" }, yes))));
      dialog.addEventListener("close", () => {
        const said = dialog.returnValue === "yes" ? text.value.trim() || " " : null;
        dialog.remove();
        if (before && before.isConnected) before.focus();
        resolve(said);
      });
      this.append(dialog);
      dialog.showModal();
      text.focus();
    });
  }

  // --- the page of a contact, a company or a deal ---

  record(data) {
    const words = this.words;
    const deal = data.type === "deal";
    return el("div", { class: "view-record" },
      data.blocked && el("p", { class: "view-blocked" }, data.blocked),
      this.tags(data),
      deal && this.steps(data),
      data.may_change && this.actions(data),
      el("div", { class: "view-columns" },
        el("div", { class: "view-main" },
          data.score && this.score(data.score),
          !deal && this.part(words.contacts, this.facts(data.keys) || el("p", { class: "view-small" }, words.none_known)),
          this.part(words.about_them, this.facts(data.fields)),
          deal && this.part(words.timeline, this.timeline(data.timeline))),
        el("div", { class: "view-side" },
          data.linked.items.length > 0 && this.part(data.linked.title, el("ul", { class: "view-list" },
            data.linked.items.map((one) => el("li", {},
              el("button", { type: "button", class: "view-link", "data-focus": one.id, onclick: () => this.open(one.id) }, one.name),
              one.note && el("span", { class: "view-small" }, ` ${one.note}`))))),
          !deal && data.deals.length > 0 && this.part(words.deals, el("ul", { class: "view-list" },
            data.deals.map((one) => el("li", {},
              el("button", { type: "button", class: "view-link", "data-focus": one.id, onclick: () => this.open(one.id) }, one.title),
              el("p", { class: "view-small" }, [one.stage.name, one.amount, one.since].filter(Boolean).join(" · ")))))),
          data.talks?.length > 0 && this.part(words.talks, el("ul", { class: "view-list" }, data.talks.map((one) => el("li", {},
            el("a", { class: "view-link", href: `/chat/inbox/${one.id}` }, one.name), el("span", { class: "view-small" }, ` ${one.note}`))))),
          this.part(words.tasks, data.tasks.length
            ? el("ul", { class: "view-list" }, data.tasks.map((task) => this.task(task, data)))
            : el("p", { class: "view-small" }, words.no_tasks)),
          !deal && this.part(words.timeline, this.timeline(data.timeline)))));
  }

  // The stages of a deal in a row, the present one marked; the others are buttons that move it.
  steps(data) {
    return el("ol", { class: "view-steps", "aria-label": this.words.stage }, data.stages.map((stage) => el("li", {},
      stage.id === data.stage.id || !data.may_change
        ? el("span", { class: `view-step${stage.id === data.stage.id ? " view-here" : ""}`,
          "aria-current": stage.id === data.stage.id ? "step" : null }, stage.name)
        : el("button", { type: "button", class: `view-step view-to-${stage.kind}`,
          "aria-label": `${fill(this.words.move_to, data.title)} ${stage.name}`,
          onclick: () => this.move({ id: data.subject, title: data.title }, stage) }, stage.name))));
  }

  part(title, ...content) {
    return el("section", { class: "view-part" }, el("h3", {}, title), content);
  }

  tags(data) {
    if (!data.tags.length) return null;
    const may = data.may_change && data.type !== "deal";
    return el("ul", { class: "view-tags", "aria-label": this.words.tags }, data.tags.map((tag) =>
      el("li", {}, tag, may && el("button", { type: "button", "aria-label": fill(this.words.untag, tag),
        onclick: () => this.act({ do: "tag", remove: tag }, "title") }, "×"))));
  }

  score(score) {
    return el("section", { class: "view-part view-score" },
      el("h3", {}, `${this.words.score} · ${score.when}`),
      el("div", { class: "view-score-row" },
        el("span", { class: "view-score-value", role: "img", "aria-label": score.of }, score.value),
        el("ul", {}, score.reasons.map((reason) => el("li", {}, reason)))));
  }

  facts(rows) {
    if (!rows.length) return null;
    return el("dl", { class: "view-facts" }, rows.map((row) => el("div", {},
      el("dt", {}, row.label),
      el("dd", {},
        row.value === null
          ? el("span", { class: "view-unknown" }, this.words.unknown)
          : row.href
            ? el("a", { href: row.href, ...(row.href.startsWith("http") ? outside : {}) }, row.value)
            : el("span", {}, row.value),
        row.blocked && el("span", { class: "view-flag" }, this.words.blocked),
        row.source && el("span", { class: "view-source" },
          row.url ? el("a", { href: row.url, ...outside }, row.source) : row.source)))));
  }

  task(task, data) {
    return el("li", { class: `view-todo${task.late ? " view-late" : ""}` },
      el("div", {}, task.title,
        el("p", { class: "view-small" }, [task.due, task.late && this.words.late, task.owner].filter(Boolean).join(" · "))),
      data.may_change && el("button", { type: "button", class: "view-button", "aria-label": `${this.words.finish}: ${task.title}`,
        onclick: () => this.act({ do: "finish_task", task: task.id }, "title") }, this.words.finish));
  }

  timeline(entries) {
    return el("ol", { class: "view-timeline" }, entries.map((entry) => el("li", {},
      el("p", { class: "view-small" }, [`${entry.when} ${entry.clock}`, entry.actor].filter(Boolean).join(" · ")),
      el("p", {}, entry.what),
      entry.text && el("p", { class: "view-text" }, entry.text))));
  }

  // --- forms: one open at a time, below the row of their buttons ---

  actions(data) {
    const words = this.words;
    const forms = [
      [words.note, [["text", words.note_label, "textarea"]], words.keep, "note"],
      [words.new_task, [["title", words.task_label, "text"], ["due", words.due, "date"]], words.add, "task"],
    ];
    if (data.type !== "deal") {
      forms.push(
        [words.new_deal, [["title", words.deal_label, "text", data.title], ["amount", words.amount_label, "decimal"]],
          words.add, "deal"],
        [words.new_tag, [["add", words.tag_label, "text"]], words.keep, "tag"]);
    }
    const panel = el("div", { id: `view-panel-${++serial}` });
    const buttons = forms.map(([title, ...form]) => el("button", { type: "button", class: "view-button",
      "aria-expanded": "false", "aria-controls": panel.id, onclick: (event) => {
        const open = event.currentTarget.getAttribute("aria-expanded") !== "true";
        for (const button of buttons) button.setAttribute("aria-expanded", String(open && button === event.currentTarget));
        panel.replaceChildren(...(open ? [this.form(title, ...form)] : []));
        this.say("");
        if (open) panel.querySelector("input, textarea").focus();
      } }, title));
    return el("div", { class: "view-actions" },
      el("div", { class: "view-bar" }, buttons,
        data.may_leave_alone && el("button", { type: "button", class: "view-button view-danger", onclick: async () => {
          const reason = await this.dialog(fill(words.leave_title, data.title), words.leave_hint, words.leave_reason, words.leave_alone);
          if (reason) this.act({ do: "leave_alone", reason }, "title");
        } }, words.leave_alone)),
      panel);
  }

  form(title, fields, yes, name) {
    const inputs = fields.map(([field, label, type, value]) => {
      const id = `view-${field}-${++serial}`;
      const input = type === "textarea"
        ? el("textarea", { id, name: field, rows: "3", required: true, maxlength: "20000" })
        : el("input", { id, name: field, type: type === "decimal" ? "text" : type,
          inputmode: type === "decimal" ? "decimal" : null, required: type === "text", maxlength: "300", value });
      return el("div", {}, el("label", { for: id }, label), input);
    });
    return el("form", { class: "view-form", "aria-label": title, onsubmit: (event) => {
      event.preventDefault();
      this.act({ do: name, ...Object.fromEntries(new FormData(event.target)) }, "title");
    } }, inputs, el("div", { class: "view-buttons" }, el("button", { class: "view-button view-first" }, yes)));
  }
}

customElements.define("mutirao-view", View);

// --- where views go ---

function place(root) {
  for (const link of root.querySelectorAll('.ai-message .message-content a[href^="/chat/view/"]')) {
    const content = link.closest(".message-content");
    const address = link.getAttribute("href");
    const there = [...content.parentElement.children].some(
      (node) => node.localName === "mutirao-view" && node.getAttribute("src") === address);
    if (!there && PAGE.test(address)) content.after(el("mutirao-view", { src: address }));
  }
}

if (PAGE.test(location.pathname)) {
  takeTheme();
  document.querySelector("main").append(el("mutirao-view", { src: location.pathname }));
} else {
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; place(document); });
  }).observe(document.body, { childList: true, subtree: true });
  place(document);
}
