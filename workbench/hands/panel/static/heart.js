// A widget whose script was not ready within two seconds gets no updates any more (anywidget 0.11). So each view says
// that it is there; the kernel answers, and makes the widget anew where the answer does not arrive.
function heart(model) {
  const answer = (message) => message?.pong && model.send({ alive: 1 });
  model.on("msg:custom", answer);
  model.send({ hello: 1 });
  return () => model.off("msg:custom", answer);
}

// an element; what is given as text stays text, whatever is in a name
function part(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}

// puts children in the place of those that were there; what had the focus has it again
function replaced(el, ...children) {
  const key = el.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  el.replaceChildren(...children);
  if (key !== undefined) el.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

