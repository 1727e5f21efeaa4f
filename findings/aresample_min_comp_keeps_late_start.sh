#!/usr/bin/env bash
# Guess: ffmpeg's `aresample=first_pts=0` fills the time before the first sample with silence;
# `min_comp`, the smallest difference that drift is corrected for, concerns what comes later.
#
# What happens: a start that is later than 0 by less than `min_comp` is not filled. All of the stream
# is then early by that time, and nothing corrects it.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), audio that starts 20 ms late, at 16 kHz:
#     without min_comp: 320 samples of silence, min_comp=0.03: 0 samples
#
# Why it matters here: drift of time stamps is undone by `async` with `min_comp`. A large value, which
# suits time stamps that are rounded coarsely, would move every event of a clip whose audio starts
# late. avsed uses 2 ms, and all starts that are later are filled.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
"$ffmpeg" -version | head -n 1

cd "$folder"
# Video from 0 s, and one second of sound from 20 ms.
"$ffmpeg" -loglevel error -f lavfi -i color=size=32x32:duration=1.3:rate=25 \
    -itsoffset 0.02 -f lavfi -i sine=duration=1:sample_rate=16000 \
    -map 0 -map 1 -c:v mpeg4 -c:a pcm_s16le late.nut

count_filled() { # by a filter; samples beyond those of one second
    bytes=$("$ffmpeg" -loglevel error -i late.nut -map 0:a -af "$1" -f s16le - | wc -c)
    echo $((bytes / 2 - 16000))
}
plain=$(count_filled "aresample=16000:async=1000:first_pts=0")
limited=$(count_filled "aresample=16000:async=1000:first_pts=0:min_comp=0.03")
echo "without min_comp: $plain samples of silence, min_comp=0.03: $limited samples"
if [ "$plain" -ne 320 ] || [ "$limited" -ne 0 ]; then
    echo "changed: 320 and 0 samples were seen before" >&2
    exit 1
fi
