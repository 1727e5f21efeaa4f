"""Audiovisual audio tagging and sound event detection (Boes and Van hamme, 2021).

The packages are the parts of the pipeline, in the order in which data flows:

- `dataset`: what a data set is on disk; `sources`: where it comes from (Section 4.1).
- `features`: from media to features (Section 4.2).
- `model`: the network (Sections 2.1 and 3); `training`: mean teacher (Sections 2.3 and 4.3.1).
- `evaluation`: from scores to metrics (Sections 2.2 and 4.3.2).
- `report`: the table (Section 5) and the results page.
- `prediction`: a trained model on any media; `export`: a trained model in other formats.
- `runtime`: machinery that changes no number.

`framing.py` is the time grid that all of them share (Section 4.2).

The public interface is `avsed.load_model`; see docs/predict.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["AvsedError", "DetectedEvent", "Model", "Prediction", "load_model"]

if TYPE_CHECKING:
    from avsed.errors import AvsedError
    from avsed.evaluation.postprocess import DetectedEvent
    from avsed.prediction.model import Model, load_model
    from avsed.prediction.predict import Prediction
else:
    # Imported when they are first used: PyTorch takes seconds, and `avsed --help` needs none of it.
    _MODULES = {
        "AvsedError": "avsed.errors",
        "DetectedEvent": "avsed.evaluation.postprocess",
        "Model": "avsed.prediction.model",
        "Prediction": "avsed.prediction.predict",
        "load_model": "avsed.prediction.model",
    }

    def __getattr__(name: str) -> object:
        """Import a name of the public interface."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)

    def __dir__() -> list[str]:
        """List the public interface too, for completion."""
        return sorted({*globals(), *__all__})
