// A graph drawn by cytoscape.js along its flow, left to right; what has no room goes on below, back towards the left, as
// the bends of a snake, in a window that scrolls where even that is taller than a screen. A click takes a node or fact out or puts it back. Over the canvas lies its face: a button a node
// and a fact, for keyboard and screen reader, and for fingers. Names are text alone.
const ROOM = 78, LEAST = 69, EDGE = 10; // px: width of a column, of one where all fit beside each other, left free at the sides
const HALF = 22, NODE = 42, LETTER = 13, LINE = 80; // px: above a node, its height, of a line of its name, of all where columns are narrow
const SCREEN = 690, FEWER = [Infinity, 8, 7, 6, 5, 4, 3]; // px of height; nodes of a column before it is taken apart
const POINTS = { "triangle-down": "-1 -1 1 -1 0 1", cross: "-.3 -1 .3 -1 .3 -.3 1 -.3 1 .3 .3 .3 .3 1 -.3 1 -.3 .3 -1 .3 -1 -.3 -.3 -.3" };
const SHAPES = { circle: "ellipse", square: "rectangle", "triangle-up": "triangle", "triangle-down": "polygon", cross: "polygon" };
const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

function button(name, said, text, act) {
  const one = part("button", name, text);
  one.type = "button";
  one.setAttribute("aria-label", said);
  one.addEventListener("click", act);
  return one;
}

// columns along the flow; those with more than `most` nodes as several
function lined(spots, most) {
  const ranks = [...new Set(spots.map((one) => one.x))].sort((a, b) => a - b);
  return ranks.flatMap((x) => {
    const rank = spots.filter((one) => one.x === x).sort((a, b) => a.row - b.row);
    if (rank.length <= most) return [rank];
    const size = Math.ceil(rank.length / Math.ceil(rank.length / most));
    const parts = Array.from({ length: Math.ceil(rank.length / size) }, (_, i) => rank.slice(i * size, (i + 1) * size));
    return parts.map((some, i) => some.map((one, k) => ({ ...one, row: k - (some.length - (i % 2)) / 2 })));
  });
}

// key -> place in px, the height of all, of letters, and how wide a column is
function banded(columns, wide, high) {
  const bands = columns.length * LEAST <= wide ? 1 : Math.ceil(columns.length / Math.max(1, Math.floor(wide / ROOM)));
  const size = Math.ceil(columns.length / bands);
  const along = wide / size;
  const step = along < ROOM ? Math.max(LINE, high) : high;
  const places = {};
  let height = 0;
  for (let k = 0; k < columns.length; k += size) {
    const band = columns.slice(k, k + size);
    const rows = band.flat().map((one) => one.row);
    const first = Math.min(...rows);
    band.forEach((column, i) => {
      const x = EDGE + ((k / size) % 2 ? size - i - 0.5 : i + 0.5) * along;
      for (const one of column) places[one.key] = { x, y: height + (one.row - first) * step + HALF };
    });
    height += (Math.max(...rows) - first + 1) * step;
  }
  return { places, height, along, font: along < ROOM ? 11 : 12 };
}

// the columns as they came, unless they are too tall that way
function placed(spots, wide) {
  const high = NODE + LETTER * Math.max(...spots.map((one) => one.label.split("\n").length));
  const lower = (best, one) => (best.height > SCREEN && one.height < best.height ? one : best);
  return FEWER.map((most) => banded(lined(spots, most), wide - 2 * EDGE, high)).reduce(lower);
}

// how far a link between nodes above each other bows, so that it passes their neighbours: outwards where the snake turns
function bow([from, to], ranks, along, wide) {
  if (Math.abs(from.x - to.x) > 1 || from.y === to.y) return {};
  const outwards = from.x > wide / 2 === to.y > from.y ? -1 : 1;
  return { bow: ranks[0] === ranks[1] ? 34 : 0.9 * along * outwards };
}

function elements({ spots, links }, { places, along }, wide) {
  const nodes = spots.map((one) => ({ data: { ...one, id: `${one.key}` }, position: places[one.key], classes: one.state }));
  const rank = new Map(spots.map((one) => [one.key, one.x]));
  const lines = links.map((one) => {
    const ends = [one.source, one.target];
    const bowed = bow(ends.map((key) => places[key]), ends.map((key) => rank.get(key)), along, wide);
    return { data: { ...one, ...bowed, id: `f${one.key}`, source: `${one.source}`, target: `${one.target}` }, classes: one.state };
  });
  return [...nodes, ...lines];
}

function looks(el, font) {
  const css = getComputedStyle(el);
  const colour = (name) => css.getPropertyValue(`--wb-${name}`).trim() || css.color;
  const [ink, paper, red, blue] = ["ink", "paper", "red", "blue"].map(colour);
  return [
    { selector: "node", style: {
      "background-color": "data(colour)", width: "data(size)", height: "data(size)", label: "data(label)", color: ink,
      shape: (one) => SHAPES[one.data("symbol")] ?? one.data("symbol"), "border-color": (one) => (one.data("degree") > 0.05 ? red : ink),
      "shape-polygon-points": (one) => POINTS[one.data("symbol")] ?? POINTS.cross, "border-width": (one) => 0.7 + 4 * one.data("degree"),
      "font-size": font, "font-family": css.fontFamily, "text-valign": "bottom", "text-margin-y": 2, "text-wrap": "wrap",
      "text-max-width": 200, "text-outline-color": paper, "text-outline-width": 2, "line-height": 1.1,
    } },
    { selector: "edge", style: {
      width: (one) => one.data("width") + (one.data("picked") ? 4 : 0), "curve-style": "bezier", "control-point-step-size": 24, "target-arrow-shape": (one) => (one.data("arrow") ? "triangle" : "none"), "arrow-scale": 0.9,
      "line-color": (one) => (one.data("needed") ? ink : one.data("colour")), "target-arrow-color": (one) => (one.data("needed") ? ink : one.data("colour")),
    } },
    { selector: "edge[bow]", style: { "curve-style": "unbundled-bezier", "control-point-distances": "data(bow)", "control-point-weights": 0.5 } },
    { selector: "edge[degree > 0.05]", style: { "line-color": red, "target-arrow-color": red, "line-opacity": (one) => 0.4 + 0.6 * one.data("degree") } },
    { selector: "edge.removed, edge.gone", style: { "line-style": "dashed", "line-color": red, "target-arrow-color": red } },
    { selector: "node.removed", style: { "background-opacity": 0.45 } },
    { selector: ".far", style: { opacity: 0.2 } },
    { selector: ".here", style: { "border-color": blue, "border-width": 4, "overlay-color": blue, "overlay-opacity": 0.15, "overlay-padding": 3 } },
  ];
}

// what stands over the canvas, in its places
function faced(face, cy, drawing, act) {
  const here = face.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const items = [...drawing.spots, ...drawing.links].map((one) => {
    const sort = one.source === undefined ? "wb-spot" : `wb-link${one.needed ? " wb-on-path" : ""}`;
    const said = `${one.hover.replaceAll("\n", ", ")}${one.state === "kept" ? "" : `, ${one.state}`}`;
    const item = button(`${sort} wb-${one.state}`, said, one.state === "removed" ? "✕" : "", () => act.click(one.key));
    item.dataset.key = `${one.key}`;
    item.tabIndex = -1;
    if (one.picked) item.setAttribute("aria-current", "true");
    item.addEventListener("focus", () => act.near(cy.$id(item.dataset.id)));
    item.addEventListener("blur", act.away);
    item.dataset.id = one.source === undefined ? `${one.key}` : `f${one.key}`;
    return item;
  });
  face.replaceChildren(...items);
  const stop = items.find((one) => one.dataset.key === here) ?? items[0];
  if (stop) stop.tabIndex = 0;
  if (here !== undefined) stop?.focus({ preventScroll: true });
}

function settled(face, cy) {
  for (const item of face.children) {
    const one = cy.$id(item.dataset.id);
    if (!one.length) continue; // of a drawing that is just leaving
    const { x, y } = (one.isEdge() && one.renderedMidpoint()) || (one.isEdge() ? one.source() : one).renderedPosition();
    const size = one.isNode() ? Math.max(24, one.renderedOuterWidth()) : 20;
    item.style.cssText = `left:${x - size / 2}px;top:${y - size / 2}px;width:${size}px;height:${size}px`;
  }
}

// arrow keys go to what is nearest in their direction; all together are one stop of the tab key
function walk(face) {
  const at = (one) => [one.offsetLeft + one.offsetWidth / 2, one.offsetTop + one.offsetHeight / 2];
  face.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const from = event.target;
    if (!step || !from.dataset.key) return;
    event.preventDefault();
    const [x, y] = at(from);
    const far = (one) => {
      const [dx, dy] = [at(one)[0] - x, at(one)[1] - y];
      const ahead = dx * step[0] + dy * step[1];
      return ahead > 2 ? ahead + 2 * Math.abs(dx * step[1] + dy * step[0]) : Infinity;
    };
    const next = [...face.children].reduce((best, one) => (far(one) < far(best) ? one : best), from);
    [from.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
}

function legend(kinds) {
  const list = part("ul", "wb-kinds");
  for (const { name, symbol, colour } of kinds) {
    const item = part("li", "", symbol === "removed" ? "✕ " : "");
    const sign = part("span", `wb-sign wb-${symbol}`);
    sign.style.background = colour;
    if (colour) item.append(sign, " ");
    item.append(name);
    list.append(item);
  }
  return list;
}

export default {
  render({ model, el }) {
    el.classList.add("wb-drawing");
    const [head, frame, seen, stage, canvas, face, tip, kinds] = ["wb-title", "wb-over", "wb-window", "wb-stage", "wb-canvas", "wb-face", "wb-tip", ""].map((name) => part("div", name));
    stage.setAttribute("role", "group");
    tip.hidden = true;
    walk(face);
    let cy;
    const found = () => cy?.renderer().invalidateContainerClientCoordsCache(); // what stands above may have grown
    for (const kind of ["pointermove", "pointerdown"]) stage.addEventListener(kind, found, { capture: true });
    const zoom = (by) => {
      const level = by && Math.max(1, cy.zoom() * by);
      if (level > 1) cy.zoom({ level, renderedPosition: { x: cy.width() / 2, y: seen.scrollTop + seen.clientHeight / 2 } });
      else cy.reset();
      cy.userPanningEnabled(cy.zoom() > 1);
      stage.classList.toggle("wb-zoomed", cy.zoom() > 1);
    };
    const tools = part("div", "wb-tools");
    tools.append(button("wb-in", "larger", "+", () => zoom(1.4)), button("wb-out", "smaller", "−", () => zoom(1 / 1.4)), button("wb-fit", "as at the start", "⟲", () => zoom(0)));
    stage.append(canvas, face);
    seen.append(stage);
    frame.append(seen, tip);
    el.replaceChildren(head, tools, frame, kinds);
    const away = () => {
      cy.elements().removeClass("far here");
      tip.hidden = true;
    };
    const near = (one) => {
      away();
      if (!one.length) return;
      const kept = one.isNode() ? one.closedNeighborhood() : one.union(one.connectedNodes());
      cy.elements().not(kept).addClass("far");
      one.addClass("here");
      tip.textContent = one.data("hover");
      tip.hidden = false;
    };
    const click = (key) => model.send({ toggle: key });
    let wide = 0, last = "";
    const draw = () => {
      const drawing = model.get("drawing");
      if (!wide || !drawing.spots) return;
      const layout = placed(drawing.spots, wide);
      const shown = JSON.stringify([wide, drawing.spots.map((one) => [one.x, one.row, one.hover.split("\n")[0]])]);
      const kept = shown === last;
      last = shown;
      if (kept) cy.nodes().forEach((one) => (layout.places[one.id()] = { ...one.position() })); // where a hand has put it
      head.textContent = drawing.title;
      stage.setAttribute("aria-label", drawing.alt);
      stage.style.height = `${layout.height}px`;
      cy.elements().remove();
      cy.resize();
      if (!kept) zoom((seen.scrollTop = 0));
      cy.style(looks(el, layout.font));
      cy.add(elements(drawing, layout, wide));
      faced(face, cy, drawing, { click, near, away });
      settled(face, cy);
      kinds.replaceChildren(legend(drawing.kinds));
    };
    const begun = () => {
      // not before the page holds it: it listens to whatever scrolls around it
      cy = cytoscape({ container: canvas, layout: { name: "null" }, autoungrabify: matchMedia("(pointer: coarse)").matches, maxZoom: 4, boxSelectionEnabled: false, userZoomingEnabled: false, userPanningEnabled: false });
      cy.on("tap", "node, edge", (event) => click(event.target.data("key")));
      cy.on("mouseover", "node, edge", (event) => near(event.target));
      cy.on("mouseout", "node, edge", () => near(cy.$id(face.querySelector(":focus")?.dataset.id ?? "")));
      cy.on("pan zoom position", () => settled(face, cy));
    };
    const size = new ResizeObserver(() => {
      if (Math.abs(stage.clientWidth - wide) < 2) return;
      wide = stage.clientWidth;
      if (!cy) begun();
      draw();
    });
    size.observe(stage);
    const theme = new MutationObserver(draw); // JupyterLab changes it on the page's body
    theme.observe(document.body, { attributeFilter: ["data-jp-theme-name"] });
    model.on("change:drawing", draw);
    const rest = heart(model);
    return () => {
      rest();
      size.disconnect();
      theme.disconnect();
      cy?.destroy();
    };
  },
};
