// The editor: draw the events as bars and in a table; a form and keys change the selected one.

const show = (message) => { element("message").textContent = message; };

function update(next, nextSelected) {
  const focused = document.activeElement;
  const inRows = element("rows").contains(focused);
  events = [...next].sort((a, b) => a.onset - b.onset || (a.label < b.label ? -1 : 1));
  selected = nextSelected;
  for (const bar of tracks.querySelectorAll(".event")) bar.remove();
  for (const event of events) {
    tracks.children[prediction.classes.indexOf(event.label)].append(drawBar(event));
  }
  drawRows();
  updateForm();
  updateButtons();
  if (inRows || focused?.matches(":disabled")) {
    (element("rows").querySelector("[aria-current=true]") ?? element("add")).focus();
  }
}

function updateButtons() {
  const nLabels = events.filter(isLabel).length;
  const nUnconfirmed = events.length - nLabels;
  element("save").textContent = describeSave(nLabels, nUnconfirmed);
  element("save").disabled = !nLabels && nUnconfirmed > 0;
  element("left-out").hidden = !nLabels || !nUnconfirmed;
  element("undo").disabled = !past.length;
}

function updateForm() {
  element("editor").disabled = !selected;
  element("onset").value = selected ? selected.onset : "";
  element("offset").value = selected ? selected.offset : "";
  element("label").value = selected ? selected.label : prediction.classes[0];
  element("confirm").disabled = !selected || isLabel(selected);
  element("problem").textContent = "";
}

function describe({ onset, offset, label, state }) {
  return `${label} ${onset.toFixed(2)} to ${offset.toFixed(2)} s, ${state}`;
}

function drawBar(event) {
  const bar = document.createElement("div");
  bar.className = "event";
  bar.classList.toggle("unconfirmed", !isLabel(event));
  bar.classList.toggle("selected", event === selected);
  bar.title = describe(event);
  bar.dataset.index = events.indexOf(event);
  placeBar(bar, event);
  return bar;
}

function placeBar(bar, { onset, offset }) {
  bar.style.left = `${(100 * onset) / prediction.duration}%`;
  bar.style.width = `${(100 * (offset - onset)) / prediction.duration}%`;
}

// Fill the rows that exist: a click that ends the typing of a time would miss a replaced button.
function drawRows() {
  const { rows } = element("rows");
  while (rows.length > events.length) rows[rows.length - 1].remove();
  while (rows.length < events.length) element("rows").append(createRow());
  events.forEach((event, index) => {
    const [first, ...others] = rows[index].cells;
    const button = first.firstChild;
    button.textContent = event.onset.toFixed(2);
    button.setAttribute("aria-label", describe(event));
    button.setAttribute("aria-current", event === selected);
    [event.offset.toFixed(2), event.label, event.state].forEach((content, column) => {
      others[column].textContent = content;
    });
  });
}

function createRow() {
  const row = document.createElement("tr");
  const button = document.createElement("button");
  button.type = "button";
  row.insertCell().append(button);
  for (let n = 0; n < 3; n += 1) row.insertCell();
  return row;
}

// Select an event, and go there.
function visit(event) {
  media.currentTime = event.onset;
  update(events, event);
}

function visitNeighbor(step) {
  const neighbor = events[events.indexOf(selected) + step];
  if (selected && neighbor) visit(neighbor);
}

function addAtPlayPosition() {
  const now = Math.min(media.currentTime, prediction.duration);
  const times = span(now, Math.min(now + 1, prediction.duration));
  add(selected?.label ?? prediction.classes[0], times);
  element("label").focus();
}

function correctByTyping() {
  const [onset, offset] = ["onset", "offset"].map((id) => round(element(id).valueAsNumber));
  const problem = problemOf(onset, offset);
  element("problem").textContent = problem;
  if (problem) return;
  const label = element("label").value;
  const isSame =
    onset === selected.onset && offset === selected.offset && label === selected.label;
  if (!isSame) correct(selected, { onset, offset, label });
}

function save() {
  if (element("problem").textContent) {
    element("onset").focus(); // what was typed is not in the list
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([formatList()], { type: "text/tab-separated-values" }));
  link.download = `${prediction.name.split("/").pop()}.strong.tsv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function describeSave(nLabels, nUnconfirmed) {
  const noun = nLabels === 1 ? "event" : "events";
  if (!nLabels && nUnconfirmed) return "Save: confirm or delete events first";
  if (!nLabels) return "Save as a recording without events";
  if (!nUnconfirmed) return `Save ${nLabels} confirmed ${noun}`;
  const rest = nUnconfirmed === 1 ? "1 unconfirmed is" : `${nUnconfirmed} unconfirmed are`;
  return `Save ${nLabels} confirmed ${noun}; ${rest} left out`;
}

const KEYS = new Map([
  [" ", playOrPause],
  ["c", confirmSelected],
  ["delete", deleteSelected],
  ["backspace", deleteSelected],
  ["arrowup", () => visitNeighbor(-1)],
  ["arrowdown", () => visitNeighbor(1)],
]);

const eventOf = (target) => events[target.closest("tr").sectionRowIndex];

element("rows").addEventListener("click", (click) => visit(eventOf(click.target)));
element("rows").addEventListener("keydown", (press) => {
  const action = KEYS.get(press.key.toLowerCase());
  if (!action || press.ctrlKey || press.metaKey || press.altKey) return;
  press.preventDefault();
  const focused = eventOf(press.target);
  if (focused !== selected) update(events, focused);
  action();
});
element("rows").addEventListener("keyup", (press) => {
  if (press.key === " ") press.preventDefault(); // Firefox would click the button
});
element("form").addEventListener("change", correctByTyping);
element("form").addEventListener("submit", (submission) => {
  submission.preventDefault();
  if (!element("problem").textContent) confirmSelected();
});
element("delete").addEventListener("click", deleteSelected);
element("add").addEventListener("click", addAtPlayPosition);
element("undo").addEventListener("click", undo);
element("restart").addEventListener("click", () => change(predicted, null));
element("save").addEventListener("click", save);
const [restored, message] = restore();
update(restored, null);
show(message);
