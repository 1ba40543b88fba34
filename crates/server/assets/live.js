// Brings marked regions up to date in place. Everything works without it.
// A region is <… id="key" data-live="key">. Forms being filled in, open <details>, focus and scroll stay.

const PATIENCE = 150; // ms to gather events before a look
const PAUSE = 350; // ms between two looks

// --- Morphing: make `now` like `next`, touching only what differs.

const key = (element) => (element.nodeType === 1 ? element.id : "");

// What a person is in the middle of is theirs.
const held = (element) =>
  element.nodeType === 1 &&
  ((element.localName === "form" && (element.contains(document.activeElement) || element.dataset.touched)) ||
    element.hasAttribute("data-keep"));

function morphAttributes(now, next) {
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && !(name === "open" && now.localName === "details")) now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value && !(name === "open" && now.localName === "details")) now.setAttribute(name, value);
  }
}

function morphChildren(now, next) {
  const keyed = new Map();
  for (const child of now.children) if (child.id) keyed.set(child.id, child);
  let at = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    let match = key(wanted) ? keyed.get(wanted.id) : at;
    if (match && !key(wanted) && (key(match) || match.nodeType !== wanted.nodeType || match.nodeName !== wanted.nodeName)) match = null;
    if (match && match.nodeName === wanted.nodeName) {
      if (match === at) at = at.nextSibling;
      else now.insertBefore(match, at);
      morph(match, wanted);
    } else {
      now.insertBefore(wanted, at);
    }
  }
  while (at) {
    const rest = at.nextSibling;
    if (!held(at)) at.remove();
    at = rest;
  }
}

function morph(now, next) {
  if (now.nodeType !== 1) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
  } else if (!held(now) && !now.isEqualNode(next)) {
    const end = now.dataset.follow !== undefined && now.scrollHeight - now.scrollTop - now.clientHeight < 8;
    morphAttributes(now, next);
    morphChildren(now, next);
    if (end || follows(now)) now.scrollTop = now.scrollHeight;
  }
}

// --- Following a log: at its end, it stays at its end; the box says so.

const follows = (log) => log.dataset.follow !== undefined && document.getElementById(log.dataset.follow)?.checked;

document.addEventListener("change", ({ target }) => {
  const log = target.id && document.querySelector(`[data-follow="${CSS.escape(target.id)}"]`);
  if (log && target.checked) log.scrollTop = log.scrollHeight;
});
document.addEventListener("input", ({ target }) => {
  if (target.form && target.form.method === "post") target.form.dataset.touched = "yes";
});

// --- Going back from a refusal: what was written is still there, and to be seen.

document.querySelector("a[data-back]")?.addEventListener("click", (event) => {
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
  if (elsewhere || history.length < 2 || !document.referrer.startsWith(location.origin)) return;
  event.preventDefault();
  history.back();
});
const changed = (field) =>
  field.localName === "select" ? field.selectedOptions[0] !== (field.querySelector("option[selected]") ?? field.options[0]) : field.value !== field.defaultValue;
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("details form[method=post]")) {
    if (![...form.querySelectorAll("input:not([type=hidden]), textarea, select")].some(changed)) continue;
    form.dataset.touched = "yes";
    form.closest("details").open = true;
  }
});

// --- Looking: one at a time, after events, at most about three a second.

let due = 0;
let looking = false;

async function look() {
  looking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.ok && !answer.redirected) {
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of document.querySelectorAll("[data-live]")) {
        const fresh = next.getElementById(region.id);
        if (fresh) morph(region, fresh);
      }
      tick();
    }
  } catch { /* the stream notices a server that is gone, and says so */ }
  setTimeout(() => { looking = false; if (due) ask(); }, PAUSE);
}

function ask() {
  clearTimeout(due);
  due = setTimeout(() => { if (!looking && !document.hidden) { due = 0; look(); } }, PATIENCE);
}

function listen(address) {
  const mark = document.getElementById("live-mark");
  const say = (state, word) => { mark.hidden = false; mark.dataset.state = state; mark.lastElementChild.textContent = word; };
  const stream = new EventSource(address);
  let lost = false;
  stream.onopen = () => { say("live", "live"); if (lost) ask(); lost = false; };
  stream.onerror = () => {
    lost = true;
    say("lost", "reconnecting");
    // The browser does not try a refused stream again; the page does, gently.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => { stream.close(); listen(address); }, 5000);
  };
  stream.addEventListener("entry", ask);
}

// --- Clocks: the same words as the server's.

const two = (n) => String(n).padStart(2, "0");

function exact(ms) {
  const s = Math.ceil(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${two(Math.floor((s % 86400) / 3600))} h`;
}

function rough(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  if (s < 8640000) return `${Math.floor(s / 86400)} days`;
  return s < 63115200 ? `${Math.floor(s / 2629800)} months` : `${Math.floor(s / 31557600)} years`;
}

// The server's clock decides; this machine's only counts on from it.
const offset = Number(document.body.dataset.now || Date.now()) - Date.now();

function tick() {
  const now = Date.now() + offset;
  const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  for (const element of document.querySelectorAll("time[data-countdown]")) {
    const left = element.dataset.countdown - now;
    put(element, left <= 0 ? "now" : `in ${exact(left)}`);
  }
  for (const element of document.querySelectorAll("time[data-age]")) {
    const ago = now - element.dataset.age;
    put(element, ago < 1000 ? "just now" : `${rough(ago)} ago`);
  }
  for (const element of document.querySelectorAll("time[data-since]")) put(element, `for ${rough(now - element.dataset.since)}`);
}

tick();
setInterval(tick, 1000);
for (const log of document.querySelectorAll("[data-follow]")) if (follows(log)) log.scrollTop = log.scrollHeight;
if (document.body.dataset.stream && "EventSource" in window) {
  listen(document.body.dataset.stream);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
}
