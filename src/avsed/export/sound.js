"use strict";
// From a file to mono samples at the model's sample rate. A browser resamples what it decodes, by a
// filter that removes more of the highest mel bands than that of ffmpeg. So files are decoded at
// their own rate, and resampled here by the filter of ffmpeg's libswresample.

const FILTER_LENGTH = 32; // samples of the lower rate
const CUTOFF = 0.97; // of half the lower rate
const KAISER_BETA = 9;
const N_PHASES = 1024;
const USUAL_RATE = 48000; // of Opus, and of files whose rate is not found

// Decode a file as the mean of its channels.
async function decode(file, sampleRate) {
  let sound;
  try {
    const content = await file.arrayBuffer();
    const ownRate = findSampleRate(new Uint8Array(content)) ?? USUAL_RATE;
    sound = await new OfflineAudioContext(1, 1, ownRate).decodeAudioData(content);
  } catch {
    throw new Error("this browser cannot decode it; convert it to WAV or MP3");
  }
  const mean = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let k = 0; k < mean.length; k++) mean[k] += samples[k] / sound.numberOfChannels;
  }
  return resample(mean, sound.sampleRate, sampleRate);
}

// Find the sample rate in the header of WAV, FLAC, Ogg, MP4 or MP3; null if there is none.
function findSampleRate(bytes) {
  const view = new DataView(bytes.buffer);
  const find = (text, end = bytes.length) => {
    const codes = [...text].map((letter) => letter.charCodeAt(0));
    for (let start = 0; start <= Math.min(end, bytes.length) - codes.length; start++) {
      if (codes.every((code, k) => bytes[start + k] === code)) return start;
    }
    return -1;
  };
  const near = 4096; // headers are at the beginning, except those of MP4
  if (find("WAVE", 12) === 8) return view.getUint32(find("fmt ", near) + 12, true);
  const flac = find("fLaC", near);
  if (flac >= 0) return view.getUint32(flac + 18) >>> 12;
  if (find("OggS", 5) === 0) {
    const vorbis = find("\x01vorbis", near);
    return vorbis >= 0 ? view.getUint32(vorbis + 12, true) : USUAL_RATE;
  }
  if (find("ftyp", 12) === 4) {
    const entry = find("mp4a");
    return entry >= 0 ? view.getUint16(entry + 28) : null;
  }
  return findRateOfMp3(bytes);
}

function findRateOfMp3(bytes) {
  let start = 0;
  if (String.fromCharCode(...bytes.subarray(0, 3)) === "ID3") {
    start = 10 + bytes.subarray(6, 10).reduce((size, byte) => 128 * size + byte, 0);
  }
  for (const end = Math.min(start + 4096, bytes.length - 2); start < end; start++) {
    const version = (bytes[start + 1] >> 3) & 3; // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    const layer = (bytes[start + 1] >> 1) & 3;
    const rate = (bytes[start + 2] >> 2) & 3;
    if (bytes[start] === 255 && bytes[start + 1] >= 224 && version !== 1 && layer && rate < 3) {
      return [44100, 48000, 32000][rate] / { 3: 1, 2: 2, 0: 4 }[version];
    }
  }
  return null;
}

// Resample as ffmpeg does: a windowed sinc at 1024 phases, with linear interpolation between them.
function resample(samples, from, to) {
  if (from === to) return samples;
  const { taps, phases } = makeFilter(Math.min((to * CUTOFF) / from, 1));
  const center = (taps - 1) >> 1;
  const n = samples.length;
  const resampled = new Float32Array(Math.ceil((n * to) / from));
  for (let k = 0; k < resampled.length; k++) {
    const position = (k * from) / to;
    const first = Math.floor(position) - center;
    const phase = N_PHASES * (position - Math.floor(position));
    const below = Math.floor(phase);
    const share = phase - below;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      let index = first + tap;
      if (index < 0) index = -index; // reflected at both ends
      if (index >= n) index = 2 * n - 1 - index;
      const at = below * taps + tap;
      sum += ((1 - share) * phases[at] + share * phases[at + taps]) * (samples[index] ?? 0);
    }
    resampled[k] = sum;
  }
  return resampled;
}

// Return the filter at all phases from 0 to 1: a sinc in a Kaiser window, with a sum of 1.
function makeFilter(factor) {
  const taps = Math.ceil(FILTER_LENGTH / factor);
  const center = (taps - 1) >> 1;
  const phases = new Float64Array((N_PHASES + 1) * taps);
  for (let phase = 0; phase <= N_PHASES; phase++) {
    const weights = phases.subarray(phase * taps, (phase + 1) * taps);
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - center - phase / N_PHASES;
      const angle = Math.PI * distance * factor;
      const inWindow = Math.max(1 - ((2 * distance) / taps) ** 2, 0);
      weights[tap] = angle === 0 ? 1 : Math.sin(angle) / angle;
      weights[tap] *= besselI0(KAISER_BETA * Math.sqrt(inWindow));
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let tap = 0; tap < taps; tap++) weights[tap] /= total;
  }
  return { taps, phases };
}

// The modified Bessel function of the first kind of order 0, by its power series.
function besselI0(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
