#!/usr/bin/env bash
# Guess: DVC runs a stage again if one of its parameters changes from 1 to true or to 1.0, since the
# text in params.yaml, its type in YAML, and what the stage makes of it are others.
#
# What happens: values are compared in Python, where 1 == True == 1.0. `dvc status` is up to date,
# `dvc params diff` shows nothing, `dvc repro` runs nothing, and the old output is kept. So it is
# within lists.
#
# Seen with dvc 3.67.1, for a stage that prints its parameter:
#     with 1 to true, to 1.0, [1] to [true]: the output is of 1, 1, [1]; of 1 to 2: 2
#
# Why it matters here: an output can belong to other parameters than those beside it. Each parameter
# of avsed has one type, and a value of another one is an error; 1 and 1.0 mean the same.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1

mkdir "$folder/project"
cd "$folder/project"
dvc init --quiet --no-scm
cat > dvc.yaml <<'YAML'
stages:
  print:
    cmd: cut -d ' ' -f 2- params.yaml > out.txt
    params: [value]
    outs: [out.txt]
YAML

after() { # the output of the stage after its parameter has changed from the first to the second
    echo "value: $1" > params.yaml
    dvc repro --quiet --force
    echo "value: $2" > params.yaml
    dvc repro --quiet
    cat out.txt
}
boolean=$(after 1 true)
decimal=$(after 1 1.0)
list=$(after '[1]' '[true]')
other=$(after 1 2)
echo "with 1 to true, to 1.0, [1] to [true]: the output is of $boolean, $decimal, $list; of 1 to 2: $other"
if [ "$boolean $decimal $list $other" != "1 1 [1] 2" ]; then
    echo "changed: DVC ran the stage again" >&2
    exit 1
fi
