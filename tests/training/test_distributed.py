"""The division of seeds among the jobs of a job array."""

from avsed.training.distributed import seeds_of_job


def test_jobs_of_an_array_train_every_seed_once() -> None:
    variants = ["spectral", "visual", "auditory"]
    for n_shards in (1, 2, 4, 30):
        dealt = [seeds_of_job(variants, 5, shard=i + 1, n_shards=n_shards) for i in range(n_shards)]
        seeds = sorted((v, seed) for one in dealt for v, of_it in one.items() for seed in of_it)
        assert seeds == sorted((variant, seed) for variant in variants for seed in range(5))
        counts = [sum(map(len, one.values())) for one in dealt]
        assert max(counts) - min(counts) <= 1
