// The case of a run: facts are taken out, and the answers that the run computed are shown. Nothing is guessed.
"use strict";
const MODELS = ["tuned", "base"];

function step([one, two, mark]) {
  const made = document.createElement("li");
  made.className = mark;
  for (const text of [one, two]) made.appendChild(document.createElement("bdi")).textContent = text;
  return made;
}

for (const form of document.querySelectorAll("form[data-live]")) {
  const data = JSON.parse(form.querySelector("script").textContent);
  const boxes = [...form.querySelectorAll("input")];
  const [select, said] = [form.querySelector("select"), form.querySelector(".said")];
  const key = (numbers) => numbers.join(" ");
  const removals = Object.keys(data.rows).map((text) => text.split(" ").filter(Boolean).map(Number));
  const gone = () => boxes.flatMap((box, i) => (box.checked ? [] : [i]));
  const toggled = (out, i) => (out.includes(i) ? out.filter((j) => j !== i) : [...out, i].sort((a, b) => a - b));
  const apart = (a, b) => a.filter((i) => !b.includes(i)).length + b.filter((i) => !a.includes(i)).length;

  function named(out) {
    if (!out.length) return "With every fact shown";
    if (out.length < 4) return `Without ${out.map((i) => data.facts[i].text).join(" and ")}`;
    return `Without ${out.length} of the ${boxes.length} facts`;
  }

  function set(out) {
    boxes.forEach((box, i) => (box.checked = !out.includes(i)));
    show();
  }

  function show() {
    const out = gone();
    const row = data.rows[key(out)];
    const parts = MODELS.map((model, k) => {
      const block = form.querySelector(`[data-model=${model}]`);
      const found = row && data.answers[k][row[k]];
      block.classList.toggle("unknown", !found);
      block.querySelector(".verdict").textContent = found ? found.verdict : "not computed in this run";
      const list = block.querySelector("ol");
      list.replaceChildren(list.firstElementChild, ...(found ? found.steps.map(step) : []));
      return found && `the ${model} model’s answer ${found.verdict}${found.text && `: ${found.text}`}`;
    });
    said.textContent = `${named(out)}: ${row ? parts.join("; ") : "not computed in this run."} `;
    if (!row) {
      const near = removals.reduce((a, b) => (apart(b, out) < apart(a, out) ? b : a));
      const button = said.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = `Show the nearest that was: ${named(near).replace(/^W/, "w")}`;
      button.addEventListener("click", () => set(near));
    }
    boxes.forEach((box, i) => box.parentNode.classList.toggle("unknown", !(key(toggled(out, i)) in data.rows)));
    const known = data.sets.findIndex((one) => key(one.without) === key(out));
    select.value = known < 0 ? "" : String(known);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector(".facts").addEventListener("change", show);
  select.addEventListener("change", () => set(data.sets[select.value].without));
  set(data.start);
}
