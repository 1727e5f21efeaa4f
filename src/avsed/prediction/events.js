// The events: what the model found is unconfirmed, and becomes a label when it is confirmed or
// corrected. Events are never modified: a change replaces their list, so that it can be undone.

const SHORTEST = 0.01; // seconds of an event that is drawn by dragging
const STATES = ["unconfirmed", "confirmed", "corrected", "added"];
const predicted = prediction.events.map((event) => ({ ...event, state: "unconfirmed" }));
// Pages of other classes have no row for these labels.
const storageKey = JSON.stringify(
  ["avsed", prediction.name, prediction.duration, prediction.classes]);
const past = []; // the events and the selected one before each change
let events = []; // { onset, offset, label, state }; in seconds, by onset
let selected = null; // one of `events`

const round = (seconds) => Math.round(1000 * seconds) / 1000;
const isLabel = (event) => event.state !== "unconfirmed";

// Return the times of an event between two times within the media, and at least `SHORTEST` long.
function span(first, second) {
  const onset = Math.max(0, Math.min(first, second, prediction.duration - SHORTEST));
  return { onset: round(onset), offset: round(Math.max(first, second, onset + SHORTEST)) };
}

// Return why an event cannot have these times; empty if it can.
function problemOf(onset, offset) {
  const end = prediction.duration;
  if (!Number.isFinite(onset) || onset < 0 || onset > end) {
    return `The onset must be a time from 0 to ${end} s, the duration of the media.`;
  }
  if (!Number.isFinite(offset) || offset < 0 || offset > end) {
    return `The offset must be a time from 0 to ${end} s, the duration of the media.`;
  }
  return onset < offset ? "" : "The onset must be before the offset.";
}

// Changes

function change(next, nextSelected) {
  past.push({ events, selected });
  update(next, nextSelected);
  show(store());
}

function undo() {
  if (!past.length) return;
  const before = past.pop();
  update(before.events, before.selected);
  show(store());
}

function replace(event, values) {
  const replaced = { ...event, ...values };
  change(events.map((other) => (other === event ? replaced : other)), replaced);
}

function correct(event, values) {
  replace(event, { ...values, state: event.state === "added" ? "added" : "corrected" });
}

function add(label, times) {
  const added = { ...times, label, state: "added" };
  change([...events, added], added);
}

function confirmSelected() {
  if (selected && !isLabel(selected)) replace(selected, { state: "confirmed" });
}

function deleteSelected() {
  if (!selected) return;
  const index = events.indexOf(selected);
  const neighbor = events[index + 1] ?? events[index - 1] ?? null;
  change(events.filter((event) => event !== selected), neighbor);
}

// Keep work in progress for the next visit; return a message if the browser cannot.
function store() {
  try {
    if (JSON.stringify(events) === JSON.stringify(predicted)) localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, JSON.stringify({ predicted, events }));
    return "";
  } catch {
    return "This browser cannot keep your work: save it before you close or reload the page.";
  }
}

function isValid({ onset, offset, label, state }) {
  return prediction.classes.includes(label) && STATES.includes(state) && !problemOf(onset, offset);
}

// Return the events of an earlier visit, or the predicted ones; and a message.
function restore() {
  let stored = null;
  try {
    stored = JSON.parse(localStorage.getItem(storageKey));
    if (!stored || !stored.events.every(isValid)) return [predicted, ""];
  } catch {
    return [predicted, ""];
  }
  const isSame = JSON.stringify(stored.predicted) === JSON.stringify(predicted);
  return [stored.events, isSame
    ? "These are your events of an earlier visit."
    : "These are your events of another prediction of this file. To see this one, start over."];
}

// Return the labels as a strong list in DCASE's format.
function formatList() {
  const name = prediction.name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
  const rows = events.filter(isLabel).map(({ onset, offset, label }) =>
    `${name}\t${onset.toFixed(3)}\t${offset.toFixed(3)}\t${label}\n`);
  return `filename\tonset\toffset\tevent_label\n${rows.join("") || `${name}\t\t\t\n`}`;
}
