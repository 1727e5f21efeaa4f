// From the samples of a recording to its tags and events, as in `prediction/windows.py`,
// `prediction/predict.py` and `evaluation/postprocess.py`. `model` is the description in the page.
// Frame scores are an array of K Float32Arrays, one for each class.

// Return the parts of a recording that the network scores: 10 s each, one every `windows.hop`
// frames. A recording of about 10 s or less is a single one.
function cutWindows(nSamples, model) {
  const { sampleRate, samplesPerFrame, windows } = model;
  const cut = [];
  for (let first = 0; ; first += windows.hop) {
    const start = first * samplesPerFrame;
    const end = Math.min(start + windows.samples, nSamples);
    cut.push({ first, start, end, duration: (end - start) / sampleRate });
    // Codec padding at the end is shorter than this and needs no window.
    if (nSamples < start + windows.samples + windows.ahead * samplesPerFrame) break;
  }
  // The durations of clips are recorded in milliseconds.
  if (cut.length === 1) cut[0].duration = Math.max(Math.round(1000 * cut[0].duration), 1) / 1000;
  return cut;
}

// Count the frames that a window covers, also in part, by the rule of `framing.py`.
function countFrames(duration, model) {
  const covered = Math.ceil(Math.round((100 * duration) / model.frameHop) / 100);
  return Math.min(Math.max(covered, 1), model.windows.frames);
}

// Score one window; returns the scores of its valid frames, and those of the whole.
async function scoreWindow(ort, session, samples, window, model) {
  const waveform = samples.subarray(window.start, window.end);
  const nValid = countFrames(window.duration, model);
  const outputs = await session.run({
    waveform: new ort.Tensor("float32", waveform, [1, waveform.length]),
    valid_frames: new ort.Tensor("int64", [BigInt(nValid)], [1]),
  });
  const nClasses = model.classes.length;
  const scores = outputs.frame_scores.data; // (T, K)
  const frameScores = model.classes.map((_, k) =>
    Float32Array.from({ length: nValid }, (_, frame) => scores[frame * nClasses + k]));
  return { first: window.first, frameScores, clipScores: outputs.clip_scores.data };
}

// Join the frame scores of windows, which fade into each other where they overlap.
function joinWindows(scored, model) {
  const overlap = model.windows.frames - model.windows.hop;
  const nFrames = Math.max(...scored.map((one) => one.first + one.frameScores[0].length));
  return model.classes.map((_, k) => {
    const total = new Float64Array(nFrames);
    const weights = new Float64Array(nFrames);
    for (const { first, frameScores } of scored) {
      const n = frameScores[k].length;
      frameScores[k].forEach((score, frame) => {
        const weight = Math.min(1 + Math.min(frame, n - 1 - frame), overlap + 1);
        total[first + frame] += weight * score;
        weights[first + frame] += weight;
      });
    }
    return Float32Array.from(total, (sum, frame) => sum / weights[frame]);
  });
}

// Smooth decisions by a median filter; frames are reflected at both ends.
function medianFilter(active, length) {
  const n = active.length;
  const half = (length - 1) / 2;
  const reflected = (frame) => {
    const inPeriod = ((frame % (2 * n)) + 2 * n) % (2 * n);
    return inPeriod < n ? inPeriod : 2 * n - 1 - inPeriod;
  };
  return active.map((_, frame) => {
    let nActive = 0;
    for (let step = -half; step <= half; step++) nActive += active[reflected(frame + step)];
    return nActive > half ? 1 : 0;
  });
}

// List the runs of frames with a value: the first frame of each, and the one after its last.
function listRuns(active, value) {
  const runs = [];
  for (let first = 0; first < active.length; first++) {
    if (active[first] !== value) continue;
    let end = first;
    while (end < active.length && active[end] === value) end++;
    runs.push([first, end]);
    first = end;
  }
  return runs;
}

// Decide which frames of a class are active (1) or not (0). Settings are for all classes or by
// class; decisions of earlier versions lack those for gaps and short events.
function decide(scores, label, { decisions, frameHop }) {
  const ofClass = (setting) => (typeof setting === "object" ? setting[label] : setting);
  // Rounding errors must not decide whether a number of frames is long enough.
  const inFrames = (seconds) => Math.round((1e6 * ofClass(seconds ?? 0)) / frameHop) / 1e6;
  const above = Uint8Array.from(scores, (score) => (score > decisions.events[label] ? 1 : 0));
  const active = medianFilter(above, ofClass(decisions.median_filter_frames));
  const largestGap = Math.floor(inFrames(decisions.max_gap));
  for (const [first, end] of listRuns(active, 0)) {
    const isGap = first > 0 && end < active.length;
    if (isGap && end - first <= largestGap) active.fill(1, first, end);
  }
  const shortestEvent = Math.ceil(inFrames(decisions.min_event));
  for (const [first, end] of listRuns(active, 1)) {
    if (end - first < shortestEvent) active.fill(0, first, end);
  }
  return active;
}

// Turn each run of active frames into an event; times are seconds. The last frame may start after
// the recording's end.
function findEvents(active, label, duration, { frameHop }) {
  return listRuns(active, 1)
    .filter(([first]) => first * frameHop < duration)
    .map(([first, end]) => ({
      onset: first * frameHop, offset: Math.min(end * frameHop, duration), label,
    }));
}

// Score a recording and decide on its tags and events.
//   samples: mono, at the model's sample rate.
//   onProgress: called with the scored share of the recording.
async function detect(ort, session, samples, model, onProgress) {
  const scored = [];
  const windows = cutWindows(samples.length, model);
  for (const window of windows) {
    scored.push(await scoreWindow(ort, session, samples, window, model));
    onProgress(scored.length / windows.length);
    await new Promise((resume) => setTimeout(resume)); // lets the page draw
  }
  const last = windows[windows.length - 1];
  const duration = last.first * model.frameHop + last.duration;
  const frameScores = joinWindows(scored, model);
  if (!frameScores.every((scores) => scores.every(Number.isFinite))) {
    throw new Error("its scores are NaN or infinite; train the model again");
  }
  const clipScores = model.classes.map((_, k) =>
    Math.max(...scored.map((window) => window.clipScores[k])));
  const events = model.classes.flatMap((label, k) =>
    findEvents(decide(frameScores[k], label, model), label, duration, model));
  events.sort((a, b) => a.onset - b.onset || (a.label < b.label ? -1 : 1));
  const tags = model.classes.filter((label, k) => clipScores[k] > model.decisions.tags[label]);
  return { duration, frameScores, clipScores, tags, events };
}
