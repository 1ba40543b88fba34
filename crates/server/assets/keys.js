// Keys for everything that a page offers, the palette, and the list of keys. Everything works without it.
// What a key does is what the page says by a link or a button; nothing is done that cannot be clicked.

const places = [...document.querySelectorAll("nav.main a, a[data-place]")].map((link) => ({ word: link.dataset.place ?? link.textContent, href: link.getAttribute("href") }));
// The letter after `g`: the first one of its word that no place before has taken.
const letters = new Map();
for (const place of places) {
  const letter = [...place.word.toLowerCase()].find((it) => it !== "g" && !letters.has(it));
  if (letter) letters.set(letter, place);
}

const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.showModal();
}

// --- The list of keys.

function help() {
  const list = element("dl");
  const row = (keys, what) => {
    const said = element("dt");
    keys.forEach((key, index) => said.append(...(index ? [" "] : []), element("kbd", {}, key)));
    list.append(said, element("dd", {}, what));
  };
  row(["?"], "these keys");
  row(["Ctrl", "K"], "go anywhere by its name or number");
  row(["/"], "filter the list");
  for (const [letter, place] of letters) row(["g", letter], place.word);
  row(["j"], "next row");
  row(["k"], "row before");
  row(["Enter"], "open the row");
  row(["n"], "next page, or later");
  row(["p"], "page before, or earlier");
  row(["a"], "say yes, where a page asks");
  row(["r"], "say no, with a reason");
  const close = element("button", { class: "button", type: "button" }, "Close");
  const dialog = element("dialog", { class: "keys", "aria-labelledby": "keys-title" }, element("h2", { id: "keys-title" }, "Keys"), list, close);
  close.addEventListener("click", () => dialog.close());
  open(dialog);
}

// --- The palette: places, what the page links to, and things by their number.

const numbers = [[/^rel-/i, "/releases/"], [/^dep-/i, "/deployments/"], [/^chg-/i, "/changes/"]];

function found(text) {
  const wanted = text.trim().toLowerCase();
  const direct = numbers.filter(([form]) => form.test(wanted)).map(([, folder]) => ({ word: `Open ${text.trim()}`, href: folder + encodeURIComponent(text.trim()) }));
  const links = [...document.querySelectorAll("main a[href^='/']")].map((link) => ({ word: link.textContent.trim().replace(/\s+/g, " "), href: link.getAttribute("href") }));
  const search = wanted ? ["releases", "changes", "deployments", "targets", "artifacts"].map((folder) => ({ word: `Look for "${text.trim()}" in ${folder}`, href: `/${folder}?text=${encodeURIComponent(text.trim())}` })) : [];
  const seen = new Set();
  const named = [...places, ...links].filter(({ word, href }) => word && word.toLowerCase().includes(wanted) && !seen.has(href) && seen.add(href));
  return [...direct, ...named.slice(0, 12), ...search];
}

function palette() {
  const input = element("input", { type: "search", placeholder: "Go to…", "aria-label": "Go to", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", autocomplete: "off" });
  const list = element("ul", { id: "palette-list", role: "listbox", "aria-label": "Places" });
  const dialog = element("dialog", { class: "palette", "aria-label": "Go to" }, input, list);
  let chosen = 0;
  let shown = [];
  const draw = () => {
    list.replaceChildren(...shown.map(({ word, href }, index) => {
      const item = element("li", { role: "option", id: `palette-${index}`, "aria-selected": String(index === chosen) }, element("span", {}, word), element("span", { class: "muted small" }, href));
      item.addEventListener("click", () => { location.href = href; });
      return item;
    }));
    if (shown.length) input.setAttribute("aria-activedescendant", `palette-${chosen}`);
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const look = () => { shown = found(input.value); chosen = 0; draw(); };
  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) { chosen = (chosen + step + shown.length) % shown.length; draw(); event.preventDefault(); }
    if (event.key === "Enter" && shown[chosen]) { location.href = shown[chosen].href; event.preventDefault(); }
  });
  look();
  open(dialog);
}

// --- Rows, pages, votes.

const rows = () => [...document.querySelectorAll("main tbody tr, main ul.lines > li")].filter((row) => row.querySelector("a[href]") && row.offsetParent);

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  const link = next.querySelector("a[href]");
  link.focus();
  next.scrollIntoView({ block: "nearest" });
}

// A vote that needs no words is sent; one that needs a reason is opened, and asks for it.
function vote(choice) {
  const button = document.querySelector(`[data-key="${choice}"]`);
  if (!button) return;
  const reason = button.form?.querySelector("textarea[name=reason]");
  if (choice === "r" && reason && !reason.value) { reason.focus(); return; }
  button.focus();
}

let going = 0;
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); if (!document.querySelector("dialog[open]")) palette(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  if (Date.now() - going < 1500) {
    going = 0;
    const place = letters.get(event.key);
    if (place) { location.href = place.href; event.preventDefault(); return; }
  }
  const link = (rel) => document.querySelector(`main a[rel="${rel}"]`)?.click();
  const does = {
    "?": help,
    "g": () => { going = Date.now(); },
    "/": () => document.querySelector("form.filter input[type=search]")?.focus(),
    "j": () => move(1),
    "k": () => move(-1),
    "n": () => link("next"),
    "p": () => (document.querySelector('main a[rel="prev"]') ? link("prev") : history.back()),
    "a": () => vote("a"),
    "r": () => vote("r"),
  }[event.key];
  if (does) { event.preventDefault(); does(); }
});
document.getElementById("keys-hint").hidden = false;
