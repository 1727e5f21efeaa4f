"""Train the students and teachers of one variant, all seeds (Sections 2.3 and 4.3.1)."""

from collections.abc import Callable
from pathlib import Path

from avsed.errors import AvsedError
from avsed.model.files import read_student_weights, write_model_card
from avsed.params import Fusion, Train
from avsed.runtime.cluster import connect
from avsed.runtime.store import publish, store_dir
from avsed.training.batches import TrainingData
from avsed.training.curves import Curve, curve_from_json, mean_curve, open_curve
from avsed.training.distributed import train_on_cluster
from avsed.training.loop import train_seeds


def train_variant(
    open_data: Callable[[], TrainingData],
    fusion: Fusion,
    params: Train,
    *,
    out_dir: Path,
    curve_dir: Path,
) -> None:
    """Train all seeds of a variant, and write their final students and their learning curve.

    Seeds that the store already has are not trained again, and others go on from their last
    checkpoint. The work is done here, or on the Dask cluster that the environment names. A seed
    whose costs stop being finite numbers is left out, and named.

    Args:
        open_data: gives clips and targets, here or on a machine of the cluster.
        fusion: embedding sizes.
        params: training.
        out_dir: becomes model.json, and seed-NN.safetensors for each seed.
        curve_dir: becomes the mean costs over all seeds; while seeds train here, over those that
            are trained first.

    Raises:
        AvsedError: if no seed ends in finite numbers.
    """
    seeds = range(params.n_seeds)
    store = store_dir().resolve()
    with connect() as cluster:
        if cluster:
            trained = train_on_cluster(cluster, open_data, fusion, params, store)
        else:
            with open_curve(curve_dir) as append:
                trained = train_seeds(
                    open_data(), fusion, params, seeds=seeds, store=store, on_point=append
                )
    for path in map(trained.diverged_path, seeds):
        if path.exists():
            print(path.read_text("utf-8"))
    finished = [path for path in map(trained.weights_path, seeds) if path.exists()]
    if not finished:
        raise AvsedError(
            f"{'+'.join(trained.card.kinds)}: no seed is left; lower train.learning_rate"
        )
    write_model_card(trained.card, out_dir)
    for path in finished:
        publish(path, out_dir / path.name)
    with open_curve(curve_dir) as append:
        for point in mean_curve([_read_curve(path) for path in finished]):
            append(point)


def _read_curve(path: Path) -> Curve:
    return curve_from_json(read_student_weights(path)[1])
