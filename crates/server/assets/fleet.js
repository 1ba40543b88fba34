// A dense field of targets: the name under the pointer, and its page on click. The list below it has them all without script.

for (const event of ["pointermove", "click"]) {
  document.addEventListener(event, (moved) => {
    const field = moved.target.closest?.("svg[data-names]");
    if (!field) return;
    const box = field.getBoundingClientRect();
    const columns = Number(field.dataset.columns);
    const cell = box.width / columns;
    const index = Math.floor((moved.clientY - box.top) / cell) * columns + Math.floor((moved.clientX - box.left) / cell);
    const name = field.dataset.names.split(" ")[index];
    if (!name) return;
    field.firstElementChild.textContent = name;
    if (event === "click") location.search = `?target=${name}`;
  });
}
