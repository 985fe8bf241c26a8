// What ipywidgets leaves out for those who do not see or do not use a mouse: names, roles, live regions, page title.
function apply(root, parts) {
  for (const { select, attributes, value } of parts) {
    for (const found of root.querySelectorAll(select)) {
      for (const [name, text] of Object.entries(attributes)) {
        if (found.getAttribute(name) !== text) found.setAttribute(name, text);
      }
      if (value) {
        const shown = found.closest(value.within)?.querySelector(value.select)?.textContent?.trim();
        if (shown && found.getAttribute("aria-valuetext") !== shown) found.setAttribute("aria-valuetext", shown);
      }
    }
  }
}

export default {
  render({ model, el }) {
    let observer;
    const start = () => {
      const root = el.closest(".wb-panel, .wb-records");
      if (!root) return void (timer = setTimeout(start, 50));
      const again = () => apply(root, model.get("parts"));
      again();
      observer = new MutationObserver(again);
      const watched = ["aria-valuetext", "class", "role"];
      observer.observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: watched });
      model.on("change:parts", again);
    };
    let timer = setTimeout(start, 0);
    const rest = heart(model);
    return () => {
      rest();
      clearTimeout(timer);
      observer?.disconnect();
    };
  },
};
