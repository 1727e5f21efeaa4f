#!/usr/bin/env bash
# Guess: ALAC is lossless, so that ffmpeg returns all samples of a CAF file, as it does for m4a.
#
# What happens: CAF's packet table states how many samples of the last packet are not valid, here 1912
# of 4096. ALAC's last packet contains the valid ones only, and ffmpeg removes 1912 of these again.
# Up to 4095 samples, 93 ms at 44.1 kHz, are lost at the end.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), for 88200 samples:
#     packet table: 22 packets of 4096, 88200 valid samples, 1912 not valid
#     decoded: m4a 88200 samples, caf 86288 samples
#
# Why it matters here: CAF with ALAC is what Apple's tools write. Clips are up to 93 ms shorter than
# their last event. avsed decodes with ffmpeg, and truncates events where the media end.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
"$ffmpeg" -version | head -n 1

cd "$folder"
for extension in m4a caf; do
    "$ffmpeg" -loglevel error -f lavfi -i sine=duration=2:sample_rate=44100 -c:a alac "sound.$extension"
done
"$folder/venv/bin/python" - <<'PYTHON'
import struct

content = open("sound.caf", "rb").read()
table = content.index(b"pakt") + 12  # behind the name and the size of the chunk
n_packets, n_valid, _, n_invalid = struct.unpack_from(">qqii", content, table)
print(f"packet table: {n_packets} packets of 4096, {n_valid} valid samples, {n_invalid} not valid")
assert n_packets * 4096 == n_valid + n_invalid, "the file is not valid"
PYTHON
count() {
    bytes=$("$ffmpeg" -loglevel error -i "$1" -f s16le - | wc -c)
    echo $((bytes / 2))
}
m4a=$(count sound.m4a)
caf=$(count sound.caf)
echo "decoded: m4a $m4a samples, caf $caf samples"
if [ "$m4a" -ne 88200 ] || [ "$caf" -eq 88200 ]; then
    echo "changed: 88200 and 86288 samples were decoded before" >&2
    exit 1
fi
