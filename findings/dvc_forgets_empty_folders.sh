#!/usr/bin/env bash
# Guess: a folder tracked by DVC comes back from the cache as it was; unlike Git, DVC tracks folders.
#
# What happens: it tracks the files in it. Empty folders within it are missing after `dvc checkout`,
# and `dvc status` says that nothing has changed, before and after. An empty folder of its own does
# come back.
#
# Seen with dvc 3.67.1:
#     media/class-a: yes, media/class-b (empty): no, status: up to date; nothing (empty): yes
#
# Why it matters here: data sets with one folder per class lose a class without clips, and programs
# that list classes by folder number the others differently. avsed takes classes from its lists.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1

mkdir "$folder/project"
cd "$folder/project"
dvc init --quiet --no-scm
mkdir -p media/class-a media/class-b nothing
echo sound > media/class-a/clip.wav
dvc add --quiet media nothing
rm -r media nothing
dvc checkout --quiet

is_there() { [ -d "$1" ] && echo yes || echo no; }
status=changed
dvc status --quiet && status="up to date"
full=$(is_there media/class-a) empty=$(is_there media/class-b) own=$(is_there nothing)
echo "media/class-a: $full, media/class-b (empty): $empty, status: $status; nothing (empty): $own"
if [ "$full $empty $status" != "yes no up to date" ]; then
    echo "changed: the empty folder was missing before, and the status clean" >&2
    exit 1
fi
