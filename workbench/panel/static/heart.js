// A widget whose script was not ready within two seconds gets no updates any more (anywidget 0.11). So each view says
// that it is there; the kernel answers, and makes the widget anew where the answer does not arrive.
function heart(model) {
  const answer = (message) => message?.pong && model.send({ alive: 1 });
  model.on("msg:custom", answer);
  model.send({ hello: 1 });
  return () => model.off("msg:custom", answer);
}

