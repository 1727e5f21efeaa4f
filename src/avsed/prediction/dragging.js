// Pointers on the timelines: a click goes there and selects the event there, the ends of a bar can
// be dragged, and dragging elsewhere on the timeline of a class adds an event.

const EDGE = 5; // pixels from the end of a bar within which it is dragged
const CLICK = 4; // pixels that the pointer may move in a click
let drag = null; // from pressing to releasing

function timeAt(x) {
  const box = tracks.getBoundingClientRect();
  return prediction.duration * Math.min(1, Math.max(0, (x - box.left) / box.width));
}

// Return the time of the end that stays while the other is dragged; null if nothing can be dragged.
function fixedEnd(event, bar, x) {
  if (!bar) return timeAt(x);
  const { left, right } = bar.getBoundingClientRect();
  if (Math.min(Math.abs(x - left), Math.abs(x - right)) > EDGE) return null;
  return Math.abs(x - left) < Math.abs(x - right) ? event.offset : event.onset;
}

function start(press) {
  if (press.button !== 0 || !press.isPrimary) return;
  document.activeElement?.blur(); // applies a time that was typed, and draws the bars again
  const target = document.elementFromPoint(press.clientX, press.clientY);
  const label = prediction.classes[[...tracks.children].indexOf(target.closest(".track"))];
  const bar = target.closest(".event");
  const event = bar ? events[Number(bar.dataset.index)] : null;
  const fixed = label === undefined ? null : fixedEnd(event, bar, press.clientX);
  drag = { x: press.clientX, bar, event, label, fixed, times: null };
  tracks.setPointerCapture(press.pointerId);
}

function move({ clientX }) {
  if (!drag || drag.fixed === null) return;
  if (!drag.times && Math.abs(clientX - drag.x) < CLICK) return;
  drag.times = span(drag.fixed, timeAt(clientX));
  if (!drag.bar) {
    drag.bar = document.createElement("div");
    drag.bar.className = "event";
    tracks.children[prediction.classes.indexOf(drag.label)].append(drag.bar);
  }
  placeBar(drag.bar, drag.times);
}

function finish(release) {
  if (!drag) return;
  const { event, label, times } = drag;
  drag = null;
  if (times && event) correct(event, times);
  else if (times) add(label, times);
  else {
    media.currentTime = timeAt(release.clientX);
    if (event) update(events, event);
  }
}

function cancel() {
  if (drag?.times) update(events, selected);
  drag = null;
}

tracks.addEventListener("pointerdown", start);
tracks.addEventListener("pointermove", move);
tracks.addEventListener("pointerup", finish);
tracks.addEventListener("pointercancel", cancel);
