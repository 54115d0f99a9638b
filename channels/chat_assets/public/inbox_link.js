// A link to the attendants' inbox in the chat's header, with how many conversations are unread. It is there only for
// those who may see conversations: the server says so. Chainlit's React leaves what it does not know alone; when it
// draws its header anew, the link is put there again.
import { drawing, el } from "./dom.js";

const EVERY = 30_000;
let told = null; // {label, unread}; null while nobody is logged in, or for those who may not
let link = null;

function place() {
  const header = document.querySelector("#header");
  if (!header || !told) { if (link) link.remove(); return; }
  if (!link) {
    const picture = drawing("M4 5h16v11h-9l-5 4v-4H4zM8 9.5h8M8 12.5h5", { "aria-hidden": "true", focusable: "false" });
    link = el("a", { class: "inbox-link", href: "/chat/inbox" }, picture, el("span"), el("b"));
  }
  link.children[1].textContent = told.label;
  link.lastChild.textContent = told.unread > 99 ? "99+" : String(told.unread);
  link.lastChild.hidden = !told.unread;
  link.title = told.label;
  link.setAttribute("aria-label", told.unread ? told.label_unread : told.label);
  const last = header.lastElementChild;
  if (link.parentElement !== last && last && last !== link) last.prepend(link);
}

// Who wanted a page of the inbox and had to log in first gets it now.
function comeBack() {
  let wanted = "";
  try {
    wanted = sessionStorage.getItem("mutirao-inbox:wanted") || "";
    sessionStorage.removeItem("mutirao-inbox:wanted");
  } catch { /* no storage */ }
  if (/^\/chat\/inbox(\/[\w-]+)?$/.test(wanted)) location.assign(wanted);
}

async function ask() {
  if (document.hidden || location.pathname === "/chat/login") return;
  try {
    const answer = await fetch("/chat/data/inbox/counts", { credentials: "same-origin" });
    told = answer.ok ? await answer.json() : null;
    if (told) comeBack();
  } catch {
    return; // the server is away for a moment: what was known stays
  }
  place();
}

let waiting = false;
new MutationObserver(() => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; if (document.querySelector("#header") && !told && !asked) { asked = true; ask(); } place(); });
}).observe(document.documentElement, { childList: true, subtree: true });
let asked = false;
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
setInterval(ask, EVERY);
