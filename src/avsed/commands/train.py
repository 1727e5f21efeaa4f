"""Train a share of the seeds, as one job of several."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from avsed.commands.options import quiet_option

if TYPE_CHECKING:
    from avsed.params import Params


def _parse_shard(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    job, _, n_jobs = text.partition("/")
    if not (job.isdecimal() and n_jobs.isdecimal() and 1 <= int(job) <= int(n_jobs)):
        raise click.BadParameter(f"{text!r} is not I/N, such as 1/8 to 8/8.")
    return int(job), int(n_jobs)


@click.command("train")
@click.argument("variants", nargs=-1, help="Rows of variants.yaml; default: all.")
@click.option("--shard", metavar="I/N", callback=_parse_shard, required=True, help="Job I of N.")
@quiet_option
def train_shard(variants: Sequence[str], shard: tuple[int, int], quiet: bool) -> None:
    """Train one job's share of all seeds.

    `dvc repro` then uses the trained seeds.
    """
    from avsed.config import load_params
    from avsed.runtime.store import store_dir
    from avsed.training.batches import open_training_data
    from avsed.training.train import train_seeds
    from avsed.variants import kinds_of_variant, uses_strong

    params = load_params()
    for variant, seeds in _seeds_of_job(shard, variants, params).items():
        kinds = kinds_of_variant(variant)
        data = open_training_data(
            Path("data/features"),
            Path("data/metadata"),
            kinds,
            made_by={kind: params.section_of(kind) for kind in kinds},
            strong=params.strong if uses_strong(variant) else None,
        )
        train_seeds(
            data,
            params.fusion,
            params.train,
            seeds=seeds,
            store=store_dir(),
            shows_progress=not quiet,
        )
        print(f"{variant}: trained seeds {', '.join(map(str, seeds))}")


def _seeds_of_job(
    shard: tuple[int, int], variants: Sequence[str], params: "Params"
) -> Mapping[str, Sequence[int]]:
    """Return the seeds of each variant that a job trains; warn if there are none."""
    from avsed.config import load_variants, require_variant
    from avsed.dataset.annotations import has_strong_clips
    from avsed.training.distributed import seeds_of_job
    from avsed.variants import weak_variant

    job, n_jobs = shard
    chosen = list(dict.fromkeys(variants or load_variants()))
    for variant in chosen:
        require_variant(variant)
    if not (params.strong.is_on and has_strong_clips(Path("data/metadata"))):
        # The rows with +strong have the same seeds as those without, which two jobs would train.
        chosen = list(dict.fromkeys(map(weak_variant, chosen)))
    n_seeds = params.train.n_seeds
    dealt = seeds_of_job(chosen, n_seeds, shard=job, n_shards=n_jobs)
    if not dealt:
        n_useful = n_seeds * len(chosen)
        message = f"warning: job {job} has no seeds to train; use at most {n_useful} jobs"
        print(message, file=sys.stderr)
    return dealt
