// The modules of an adapter as a heat map of buttons. Colour says how much goes with a module switched off alone, and
// which way; the number stands in the cell where there is room, and always in its title. Names are text alone.
const ROOM = 10; // columns that leave room for numbers

function cell(item, wide, model) {
  const made = part("button", `wb-module wb-module-${item.key}${item.off ? " wb-off" : ""}`, wide ? item.text : item.off ? "✕" : "");
  made.type = "button";
  made.dataset.key = String(item.key);
  made.title = item.said;
  made.setAttribute("aria-label", item.said);
  made.setAttribute("aria-pressed", String(item.off));
  made.style.setProperty("--m", `${Math.round(80 * Math.abs(item.share))}%`);
  made.style.setProperty("--ink", item.share < 0 ? "var(--wb-red)" : "var(--wb-blue)");
  made.addEventListener("click", () => model.send({ switch: item.key }));
  return made;
}

// one stop of the tab key: arrows walk on from there
function walk(table) {
  const at = (cell) => [cell.parentElement.parentElement.rowIndex, cell.parentElement.cellIndex];
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  table.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    const here = event.target.closest("button.wb-module");
    if (!move || !here) return;
    const [row, column] = at(here);
    const next = table.rows[row + move[0]]?.cells[column + move[1]]?.querySelector("button");
    event.preventDefault();
    if (next) next.focus();
  });
  table.addEventListener("focusin", (event) => {
    for (const one of table.querySelectorAll("button.wb-module")) one.tabIndex = one === event.target ? 0 : -1;
  });
}

export default {
  render({ model, el }) {
    el.classList.add("wb-board");
    const draw = () => {
      const cells = model.get("cells");
      const layers = [...new Set(cells.map((one) => one.layer))].sort((a, b) => a - b);
      const names = [...new Set(cells.map((one) => one.name))];
      const place = new Map(cells.map((one) => [`${one.layer} ${one.name}`, one]));
      const wide = layers.length <= ROOM;
      const table = part("table", wide ? "wb-wide" : "");
      const head = part("tr");
      head.append(part("th", "", "layer"), ...layers.map((layer) => part("th", "", String(layer))));
      table.append(head);
      for (const name of names) {
        const row = part("tr");
        row.append(part("th", "", name));
        for (const layer of layers) {
          const slot = part("td");
          const one = place.get(`${layer} ${name}`);
          if (one) slot.append(cell(one, wide, model));
          row.append(slot);
        }
        table.append(row);
      }
      walk(table);
      table.querySelectorAll("button.wb-module").forEach((one, i) => (one.tabIndex = i ? -1 : 0));
      replaced(el, table);
    };
    model.on("change:cells", draw);
    draw();
    return heart(model);
  },
};
