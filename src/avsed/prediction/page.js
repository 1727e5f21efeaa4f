// The player: the playhead follows it, Space plays and pauses.

const element = (id) => document.getElementById(id);
const prediction = JSON.parse(element("prediction").textContent);
const media = element("media");
const tracks = element("tracks");
const playhead = element("playhead");

function place() {
  playhead.style.left = `${100 * Math.min(media.currentTime / prediction.duration, 1)}%`;
}

function follow() {
  place();
  if (!media.paused) requestAnimationFrame(follow);
}

function playOrPause() {
  if (media.paused) media.play();
  else media.pause();
}

media.addEventListener("play", follow);
media.addEventListener("seeking", place);
media.addEventListener("timeupdate", place);
document.addEventListener("keydown", (press) => {
  if (press.key !== " " || press.target !== document.body) return;
  press.preventDefault(); // it would scroll the page
  playOrPause();
});
