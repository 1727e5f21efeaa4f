// The page: unpack the model, take a file, and show what `detect` finds in it.

const element = (id) => document.getElementById(id);
const model = JSON.parse(element("model").textContent);
const media = element("media");
const tracks = element("tracks");
let shown = null; // the last result, for the playhead and for tests

// Unpack a part of the page, which is compressed by gzip.
async function unpack(id) {
  const bytes = Uint8Array.from(atob(element(id).textContent), (letter) => letter.charCodeAt(0));
  element(id).remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackScript(id) {
  return URL.createObjectURL(new Blob([await unpack(id)], { type: "text/javascript" }));
}

async function load() {
  const ort = await import(await unpackScript("interface"));
  ort.env.wasm.numThreads = 1; // more need headers that a file has not
  ort.env.wasm.wasmPaths = { mjs: await unpackScript("loader") };
  ort.env.wasm.wasmBinary = await unpack("wasm");
  const session = await ort.InferenceSession.create(await unpack("network"));
  return { ort, session };
}

async function analyze(file) {
  element("file").disabled = true;
  element("results").hidden = true;
  try {
    say(`Decoding ${file.name}`);
    const samples = await decode(file, model.sampleRate);
    const { ort, session } = await loaded;
    const onProgress = (share) => say(`Scoring ${file.name}: ${Math.round(100 * share)}%`);
    shown = await detect(ort, session, samples, model, onProgress);
    show(file, shown);
    say(`${file.name}: ${shown.duration.toFixed(2)} s`);
  } catch (error) {
    say(`${file.name}: ${error.message}`);
  }
  element("file").disabled = false;
}

function say(text) {
  element("status").textContent = text;
}

// Create an element with text, never HTML: names and labels are not trusted.
function create(tag, className, text = "") {
  const created = document.createElement(tag);
  created.className = className;
  created.textContent = text;
  return created;
}

function show(file, found) {
  element("name").textContent = file.name;
  const scores = new Map(model.classes.map((label, k) => [label, found.clipScores[k].toFixed(2)]));
  const tags = found.tags.map((label) => `${label} ${scores.get(label)}`);
  element("tags").textContent = `Tags: ${tags.join(", ") || "none"}`;
  element("labels").replaceChildren(...model.classes.map((label) =>
    create("div", found.tags.includes(label) ? "tag" : "other", `${label} ${scores.get(label)}`)));
  const playhead = create("div", "");
  playhead.id = "playhead";
  tracks.replaceChildren(...model.classes.map((_, k) => drawTrack(k, found)),
    drawAxis(found.duration), playhead);
  element("events").replaceChildren(...found.events.map(drawRow));
  release(media.src, element("download").href);
  media.src = URL.createObjectURL(file);
  element("download").href = URL.createObjectURL(new Blob([formatEvents(file.name, found.events)]));
  element("download").download = `${file.name}.events.tsv`;
  element("results").hidden = false;
}

function release(...urls) {
  for (const url of urls) if (url.startsWith("blob:")) URL.revokeObjectURL(url);
}

// Write events in the columns of DCASE, as `avsed predict --out` does.
function formatEvents(name, events) {
  const printable = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
  const rows = events.map(({ onset, offset, label }) =>
    `${printable}\t${onset.toFixed(3)}\t${offset.toFixed(3)}\t${label}\n`);
  return `filename\tonset\toffset\tevent_label\n${rows.join("") || `${printable}\t\t\t\n`}`;
}

// Draw the scores of a class, the highest of each of `nPoints` parts, and its events.
function drawTrack(k, { frameScores, events, duration }) {
  const scores = frameScores[k];
  const nPoints = Math.min(model.drawing.nPoints, scores.length);
  const points = Array.from({ length: nPoints }, (_, part) => {
    const start = Math.floor((part * scores.length) / nPoints);
    const end = Math.floor(((part + 1) * scores.length) / nPoints);
    return 1 - Math.max(...scores.subarray(start, end));
  });
  const curve = points.map((y, x) => `${x},${y.toFixed(3)}`).join(" ");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${nPoints} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const polygon = document.createElementNS(svg.namespaceURI, "polygon");
  polygon.setAttribute("points", `0,1 ${curve} ${nPoints},${points[nPoints - 1]} ${nPoints},1`);
  svg.append(polygon);
  const track = create("div", "track");
  track.append(svg);
  for (const { onset, offset, label } of events) {
    if (label !== model.classes[k]) continue;
    const bar = create("div", "event");
    bar.title = `${label} ${onset.toFixed(2)} to ${offset.toFixed(2)} s`;
    bar.style.left = `${(100 * onset) / duration}%`;
    bar.style.width = `${(100 * (offset - onset)) / duration}%`;
    track.append(bar);
  }
  return track;
}

function drawAxis(duration) {
  const { nTicks, tickSteps } = model.drawing;
  const step = tickSteps.find((one) => duration / one <= nTicks) ?? tickSteps[tickSteps.length - 1];
  const axis = create("div", "track");
  for (let second = 0; second < duration; second += step) {
    const minutes = Math.floor(second / 60);
    const text = `${minutes}:${String(second - 60 * minutes).padStart(2, "0")}`;
    const tick = create("div", "tick", duration > 60 ? text : `${second} s`);
    tick.style.left = `${(100 * second) / duration}%`;
    axis.append(tick);
  }
  return axis;
}

function drawRow({ onset, offset, label }) {
  const row = create("tr", "");
  const button = create("button", "", onset.toFixed(2));
  button.type = "button";
  button.addEventListener("click", () => { media.currentTime = onset; });
  const first = create("td", "");
  first.append(button);
  row.append(first, create("td", "", offset.toFixed(2)), create("td", "", label));
  return row;
}

function place() {
  const share = shown ? Math.min(media.currentTime / shown.duration, 1) : 0;
  if (element("playhead")) element("playhead").style.left = `${100 * share}%`;
}

function follow() {
  place();
  if (!media.paused) requestAnimationFrame(follow);
}

media.addEventListener("play", follow);
media.addEventListener("seeking", place);
media.addEventListener("timeupdate", place);
tracks.addEventListener("click", (click) => {
  const box = tracks.getBoundingClientRect();
  media.currentTime = shown.duration * Math.max(0, (click.clientX - box.left) / box.width);
});

element("file").addEventListener("change", (change) => {
  const [file] = change.target.files;
  change.target.value = ""; // so that the same file can be chosen again
  if (file) analyze(file);
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (drag) => {
    drag.preventDefault();
    element("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    const [file] = name === "drop" ? drag.dataTransfer.files : [];
    if (file && !element("file").disabled) analyze(file);
  });
}

const loaded = load();
loaded.then(
  () => {
    element("file").disabled = false;
    say("Ready");
  },
  (error) => say(`The model cannot be loaded: ${error.message}`),
);
