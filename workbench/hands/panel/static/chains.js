// Toolchains of both models side by side; every command is a button that asks which facts carry it.
const SAID = { other: "not in the right answer", new: "new", lost: "no longer there" };
const SIGN = { other: "≠ ", new: "+ ", lost: "− ", "": "" };

function chip(item, row, model) {
  const asked = row && item.mark !== "lost";
  const made = part(asked ? "button" : "span", `wb-chip wb-chip-${item.mark || "same"}`);
  made.append(part("span", "wb-sign", SIGN[item.mark]));
  const name = part("bdi", "", item.text);
  made.append(name);
  if (item.mark) made.append(part("span", "wb-hidden", ` (${SAID[item.mark]})`));
  if (asked) {
    const [where, node] = model.get("picked");
    made.type = "button";
    made.dataset.key = `${row} ${item.node}`;
    made.setAttribute("aria-pressed", String(where === row && node === item.node));
    made.title = "which facts carry it?";
    made.addEventListener("click", () => model.send({ pick: [row, item.node] }));
  }
  return made;
}

function cell(items, row, model) {
  const made = part("td");
  const list = part("ol", "wb-chain");
  for (const item of items) {
    const step = part("li");
    step.append(chip(item, row, model));
    list.append(step);
  }
  made.append(items.length ? list : part("span", "wb-none", "no command"));
  return made;
}

export default {
  render({ model, el }) {
    const draw = () => {
      const table = part("table", "wb-answers");
      table.append(part("caption", "", "Answers, as toolchains"));
      const head = part("tr");
      for (const text of ["", "on G, all facts", "on Gc, without what is removed", "toolchain"]) {
        const made = part(text ? "th" : "td", "", text);
        if (text) made.scope = "col";
        head.append(made);
      }
      table.append(head);
      for (const row of model.get("rows")) {
        const line = part("tr", `wb-row-${row.model.replaceAll(" ", "-")}`);
        const name = part("th", "", row.model);
        name.scope = "row";
        line.append(name, cell(row.full, row.key && `${row.key}_full`, model));
        if (row.changed) line.append(cell(row.changed, `${row.key}_changed`, model), part("td", "wb-verdict", row.verdict));
        else line.append(part("td"), part("td"));
        table.append(line);
      }
      const legend = part("p", "wb-legend", "≠ not in the right answer · + new on Gc · − no longer there");
      replaced(el, table, legend);
    };
    model.on("change:rows", draw);
    model.on("change:picked", draw);
    draw();
    return heart(model);
  },
};
