"""Train the students and teachers of one variant, all seeds."""

from functools import partial
from pathlib import Path

from avsed.config import load_params, require_variant
from avsed.runtime.process import run_stage_of_variant
from avsed.training.batches import open_training_data
from avsed.training.train import train_variant
from avsed.variants import kinds_of_variant, uses_strong


def main(variant: str) -> None:
    require_variant(variant)
    params = load_params()
    kinds = kinds_of_variant(variant)
    open_data = partial(
        open_training_data,
        Path("data/features"),
        Path("data/metadata"),
        kinds,
        made_by={kind: params.section_of(kind) for kind in kinds},
        strong=params.strong if uses_strong(variant) else None,
    )
    train_variant(
        open_data,
        params.fusion,
        params.train,
        out_dir=Path("data/models") / variant,
        curve_dir=Path("reports/training") / variant,
    )


if __name__ == "__main__":
    run_stage_of_variant(main, __doc__)
