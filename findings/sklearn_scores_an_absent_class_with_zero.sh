#!/usr/bin/env bash
# Guess: the average precision of a class without a positive example is undefined, so that scikit-learn
# gives NaN with a warning, as its `roc_auc_score` does; a mean over classes shows that.
#
# What happens: it is 0.0 with a warning about recall, and enters the mean: a perfect system for two
# classes, one of them without examples in the test set, has an mAP of 0.5.
#
# Seen with scikit-learn 1.9.1, numpy 2.4.6:
#     average precision: 1.0 0.0, mean 0.5; ROC AUC: 1.0 nan, mean nan
#
# Why it matters here: rare classes are absent from small test sets, and means of two data sets cannot
# be compared. Scores of a class without annotations are NaN in avsed, and not part of the mean.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/absent.py" <<'PYTHON'
import sys
import warnings

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

warnings.simplefilter("ignore")
present = np.array([[1, 0], [0, 0], [1, 0]])
scores = np.array([[0.9, 0.1], [0.2, 0.3], [0.8, 0.2]])


def describe(metric):
    by_class = metric(present, scores, average=None)
    return f"{by_class[0]} {by_class[1]}, mean {metric(present, scores, average='macro')}"


print(f"average precision: {describe(average_precision_score)}; ROC AUC: {describe(roc_auc_score)}")
if average_precision_score(present, scores, average="macro") != 0.5:
    sys.exit("changed: the mean was 0.5 before")
PYTHON
cd "$folder"
venv/bin/python absent.py
