// The graph of a case as SVG. A click takes a node or fact out or puts it back; the prompt's checkboxes do the same by
// keyboard. Lengths come in inches, y upwards; names are set as text alone.
const SVG = "http://www.w3.org/2000/svg";
const INCH = 96;
const CORNERS = { diamond: [4, 0], square: [4, 45], "triangle-up": [3, 0], "triangle-down": [3, 60], pentagon: [5, 0], hexagon: [6, 0] };

function made(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}

function shape(symbol, x, y, radius) {
  if (symbol === "cross") {
    const a = radius / 3;
    const points = [[-a, -radius], [a, -radius], [a, -a], [radius, -a], [radius, a], [a, a], [a, radius], [-a, radius], [-a, a], [-radius, a], [-radius, -a], [-a, -a]];
    return made("polygon", { points: points.map(([dx, dy]) => `${x + dx},${y + dy}`).join(" ") });
  }
  if (!CORNERS[symbol]) return made("circle", { cx: x, cy: y, r: radius });
  const [count, turn] = CORNERS[symbol];
  const corners = Array.from({ length: count }, (_, i) => {
    const angle = ((i * 360) / count + turn - 90) * (Math.PI / 180);
    return `${x + radius * Math.cos(angle)},${y + radius * Math.sin(angle)}`;
  });
  return made("polygon", { points: corners.join(" ") });
}

function cross(x, y, size) {
  const d = `M${x - size},${y - size}L${x + size},${y + size}M${x - size},${y + size}L${x + size},${y - size}`;
  return made("path", { d, class: "wb-cross" });
}

function link(one, at, click) {
  const group = made("g", { class: `wb-link wb-${one.state}${one.needed ? " wb-on-path" : ""}`, "data-key": one.key });
  const d = `M${one.points.map(([x, y]) => at(x, y).join(",")).join("L")}`;
  const line = made("path", { d, class: "wb-stroke", "stroke-width": one.width, "marker-end": "url(#wb-arrow)" });
  line.style.setProperty("--m", `${Math.round(100 * one.degree)}%`);
  line.style.setProperty("--ink", one.needed ? "var(--wb-ink)" : one.colour);
  group.append(made("title", {}, one.hover), line, made("path", { d, class: "wb-reach" }));
  if (one.state === "removed") group.append(cross(...at(...one.points[one.points.length >> 1]), 6));
  group.addEventListener("click", click);
  return group;
}

function spot(one, at, click) {
  const [x, y] = at(one.x, one.y);
  const group = made("g", { class: `wb-spot wb-${one.state}`, "data-key": one.key });
  const body = shape(one.symbol, x, y, one.radius * INCH);
  body.setAttribute("fill", one.colour);
  body.setAttribute("class", "wb-body");
  body.style.setProperty("--ring", `${0.7 + 4 * one.degree}px`);
  if (one.degree > 0.05) body.classList.add("wb-ringed");
  group.append(made("title", {}, one.hover), body);
  if (one.state === "removed") group.append(cross(x, y, one.radius * INCH + 2));
  one.label.forEach((text, i) => {
    const below = y + one.radius * INCH + 13 + 14 * i;
    group.append(made("text", { x, y: below, "text-anchor": "middle", class: "wb-label" }, text));
  });
  group.addEventListener("click", click);
  return group;
}

function legend(kinds) {
  const list = document.createElement("ul");
  list.className = "wb-kinds";
  for (const { name, symbol, colour } of kinds) {
    const item = document.createElement("li");
    const picture = made("svg", { width: 16, height: 16, viewBox: "0 0 16 16", "aria-hidden": "true" });
    const body = symbol === "removed" ? cross(8, 8, 5) : shape(symbol, 8, 8, 6.5);
    if (colour) body.setAttribute("fill", colour);
    if (colour) body.setAttribute("class", "wb-body");
    picture.append(body);
    item.append(picture, ` ${name}`);
    list.append(item);
  }
  return list;
}

export default {
  render({ model, el }) {
    el.classList.add("wb-drawing");
    const draw = () => {
      const { title, alt, width, height, spots, links, kinds } = model.get("drawing");
      const at = (x, y) => [x * INCH, (height - y) * INCH];
      const box = `0 0 ${width * INCH} ${height * INCH + 8}`;
      const picture = made("svg", { viewBox: box, role: "img", "aria-label": alt, class: "wb-picture" });
      const arrow = made("marker", { id: "wb-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto", markerUnits: "userSpaceOnUse" });
      arrow.append(made("path", { d: "M0,0L8,4L0,8z", class: "wb-head" }));
      const known = made("defs", {});
      known.append(arrow);
      picture.append(known);
      const click = (key) => () => model.send({ toggle: key });
      for (const one of links) picture.append(link(one, at, click(one.key)));
      for (const one of spots) picture.append(spot(one, at, click(one.key)));
      const head = document.createElement("div");
      head.className = "wb-title";
      head.textContent = title;
      el.replaceChildren(head, picture, legend(kinds));
    };
    model.on("change:drawing", draw);
    draw();
    return heart(model);
  },
};
