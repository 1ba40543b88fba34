// The theme: auto follows the system. A chosen one is set before the first paint; the toggle shows once the page is there.
const root = document.documentElement;

const keep = (theme) => {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
};

try {
  keep(localStorage.getItem("theme") ?? "auto");
} catch { /* a browser that keeps nothing follows the system */ }

document.addEventListener("DOMContentLoaded", () => {
  const group = document.getElementById("theme");
  const show = () => {
    for (const button of group.children) button.ariaPressed = String(button.value === (root.dataset.theme ?? "auto"));
  };
  group.hidden = false;
  group.addEventListener("click", ({ target }) => {
    if (!target.value) return;
    keep(target.value);
    try {
      localStorage.setItem("theme", target.value);
    } catch { /* then it lasts as long as the page */ }
    show();
  });
  show();
});
