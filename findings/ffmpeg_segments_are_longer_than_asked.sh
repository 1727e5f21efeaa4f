#!/usr/bin/env bash
# Guess: `ffmpeg -i recording.wav -f segment -segment_time 10 part%d.wav` cuts a recording of PCM, in
# which every sample could begin a part, into parts of 10 s; so it does for FLAC.
#
# What happens: a part ends with the first packet that reaches the time asked for, and packets have up
# to 4096 samples. Parts are up to 93 ms too long or too short, and part n begins up to 93 ms after
# 10 n seconds, with `-c copy` and encoded again alike.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), for 35 s at 44.1 kHz, in samples (10 s are 441000):
#     wav, -c copy: 442368 442368 438272 220492
#     wav: 442368 442368 438272 220492
#     flac: 442368 442368 438272 220492
#
# Why it matters here: times annotated in the recording, less 10 n seconds, are late in the parts, by
# more than a frame. A part's end lies beyond 10 s, where clips end. avsed reads recordings of any
# length in `predict`; docs/own-data.md says how to cut clips to the sample.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
"$ffmpeg" -version | head -n 1

cd "$folder"
"$ffmpeg" -loglevel error -f lavfi -i anoisesrc=duration=35:sample_rate=44100 recording.wav

lengths() { # of the parts with an extension, in samples; remaining arguments are options of ffmpeg
    extension=$1
    shift
    "$ffmpeg" -loglevel error -y -i recording.wav -f segment -segment_time 10 "$@" \
        "part%d.$extension"
    for number in 0 1 2 3; do
        bytes=$("$ffmpeg" -loglevel error -i "part$number.$extension" -f s16le - | wc -c)
        echo -n "$((bytes / 2)) "
    done
}
copied=$(lengths wav -c copy)
encoded=$(lengths wav)
flac=$(lengths flac)
printf 'wav, -c copy: %s\nwav: %s\nflac: %s\n' "$copied" "$encoded" "$flac"
for parts in "$copied" "$encoded" "$flac"; do
    if [ "${parts%% *}" -eq 441000 ]; then
        echo "changed: the first part has 10 s" >&2
        exit 1
    fi
done
