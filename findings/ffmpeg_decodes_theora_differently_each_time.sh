#!/usr/bin/env bash
# Guess: a decoder gives the same pixels for the same file in each run, with any number of threads.
#
# What happens: ffmpeg decodes Theora with one thread for each frame by default. Of a still scene with
# flashes, about one run in five gives other pixels: parts of a flash are missing, or stay for some
# frames. There is no message. With `-threads 1` or `-thread_type slice`, all runs agree.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), on two cores, of 60 runs each:
#     by default: 3 results, one thread: 1, threads for slices: 1
#
# Why it matters here: images become features that are stored by what made them, and a rerun would
# not reproduce them. avsed decodes Theora with threads for slices.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
"$ffmpeg" -version | head -n 1

cd "$folder"
"$ffmpeg" -loglevel error -f lavfi -i color=black:size=64x64:rate=25:duration=8 \
    -vf "drawbox=c=white:t=fill:enable='lt(mod(t+0.5,1),0.039)'" -c:v libtheora film.ogv

count_results() { # that differ, in runs with some options
    for _ in $(seq 60); do
        "$ffmpeg" -loglevel error "$@" -i film.ogv -f rawvideo -pix_fmt rgb24 - | sha256sum
    done | sort -u | wc -l
}
by_default=$(count_results)
one_thread=$(count_results -threads 1)
slices=$(count_results -thread_type slice)
echo "by default: $by_default results, one thread: $one_thread, threads for slices: $slices"
if [ "$(nproc)" -lt 2 ]; then
    echo "one core only: ffmpeg uses one thread by default, so nothing can be said" >&2
    exit 1
fi
if [ "$by_default" -eq 1 ] || [ "$one_thread $slices" != "1 1" ]; then
    echo "changed: only runs with a thread for each frame differed before" >&2
    exit 1
fi
