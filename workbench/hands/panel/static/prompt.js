// The prompt, line by line: every fact is a checkbox that removes or restores it. Names are data: only textContent.
const MARKS = { removed: "✕ removed", gone: "✕ gone", kept: "" };

function titled(name, text, title) {
  const made = part("span", name, text);
  made.title = title;
  return made;
}

function toggle(item, model) {
  const label = part("label", `wb-line wb-${item.state}`);
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = item.state === "kept";
  box.disabled = item.state === "gone"; // it comes back with the end that took it along
  box.dataset.key = String(item.key);
  box.addEventListener("change", () => model.send({ toggle: item.key }));
  const text = part("span", "wb-text", item.text);
  text.dir = "auto";
  label.append(box, text);
  if (item.note) label.append(part("span", "wb-note", item.note));
  const said = [MARKS[item.state], item.why].filter(Boolean).join(" ");
  if (said) label.append(part("span", "wb-mark", said));
  if (item.needed) label.append(titled("wb-needed", "needed", model.get("means").needed));
  if (item.degree !== null) {
    const bar = titled("wb-degree", `m ${item.degree.toFixed(2)}`, model.get("means").m);
    bar.style.setProperty("--m", String(item.degree));
    label.append(bar);
  }
  if (item.score) {
    const bar = part("span", "wb-score", item.score);
    bar.style.setProperty("--m", String(item.share));
    label.append(bar);
  }
  return label;
}

function group(title, name) {
  const box = part("fieldset", name);
  box.append(part("legend", "", title));
  return box;
}

export default {
  render({ model, el }) {
    const draw = () => {
      const lines = group("Prompt: a fact that is not ticked is left out", "wb-lines");
      for (const line of model.get("lines")) {
        lines.append(line.key < 0 ? part("div", "wb-frame", line.text) : toggle(line, model));
      }
      const nodes = group("Nodes: one that is not ticked takes its facts with it", "wb-nodes");
      for (const node of model.get("nodes")) nodes.append(toggle(node, model));
      replaced(el, lines, ...(model.get("nodes").length ? [nodes] : []));
    };
    model.on("change:lines", draw);
    model.on("change:nodes", draw);
    draw();
    return heart(model);
  },
};
