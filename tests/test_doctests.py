"""Examples in docstrings give the results that they show."""

import doctest
import importlib

import pytest

MODULES = [
    "avsed.evaluation.metrics",
    "avsed.evaluation.postprocess",
    "avsed.framing",
    "avsed.labels.readers.audioset",
    "avsed.labels.recordings",
    "avsed.labels.windows",
    "avsed.model.crnn",
    "avsed.report.page.boundary_errors",
    "avsed.runtime.markdown",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_the_results_that_they_show(module: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(module))
    assert attempted
    assert not failed
