"""The network: sizes, pooling, dropout."""

import pytest
import torch
from torch import nn

from avsed.model.crnn import Crnn, SpectralBranch, embedding_dims, linear_pool
from avsed.model.dropout import Dropout, DropoutGenerator
from avsed.model.together import forward_together
from avsed.params import Fusion

CPU = torch.device("cpu")
FUSION = Fusion(auditory_dim=16, visual_dim=4, standalone_auditory_dim=64, standalone_visual_dim=16)
DIMS = {"spectral": 128, "auditory": 128, "visual": 4096}
SIZES = {
    "spectral": 128,
    "spectral+visual": 132,
    "spectral+auditory": 144,
    "spectral+auditory+visual": 148,
    "visual": 16,
    "auditory": 64,
    "auditory+visual": 80,
}


def build(variant: str, dropout: float = 0.0, seed: int = 0) -> Crnn:
    kinds = variant.split("+")
    return Crnn(
        {kind: DIMS[kind] for kind in kinds},
        embedding_dims=embedding_dims(kinds, FUSION),
        n_classes=10,
        dropout=dropout,
        generator=DropoutGenerator(seed, CPU),
        cnn_dtype=torch.float32,
    )


def features(variant: str, n_clips: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        kind: torch.randn(n_clips, 604 if kind == "spectral" else 151, DIMS[kind],
                          generator=generator)
        for kind in variant.split("+")
    }  # fmt: skip


@pytest.mark.parametrize(("variant", "size"), SIZES.items())
def test_each_variant_concatenates_its_embeddings(variant: str, size: int) -> None:
    model = build(variant)
    assert model.gru.input_size == size
    frame_scores, clip_scores = model(features(variant), torch.ones(1, 151, dtype=torch.bool))
    assert frame_scores.shape == (1, 151, 10)
    assert clip_scores.shape == (1, 10)


@pytest.mark.parametrize("variant", SIZES)
def test_systems_together_have_the_scores_of_each_alone(variant: str) -> None:
    models = [build(variant, seed=seed).double().eval() for seed in (1, 2, 3)]
    inputs = {kind: of_kind.double() for kind, of_kind in features(variant, n_clips=3).items()}
    mask = torch.ones(3, 1, 151, dtype=torch.bool)
    mask[1, :, 100:] = False
    with torch.no_grad():
        together = forward_together(
            models, {kind: of_kind.unsqueeze(1) for kind, of_kind in inputs.items()}, mask
        )
        for number, model in enumerate(models):
            own = {kind: of_kind[number : number + 1] for kind, of_kind in inputs.items()}
            frame_scores, clip_scores = model(own, mask[number])
            torch.testing.assert_close(together[0][number], frame_scores, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(together[1][number], clip_scores, rtol=1e-12, atol=1e-12)


def test_the_spectral_branch_pools_604_x_128_to_151_x_128_channels() -> None:
    branch = SpectralBranch(128, 0.0, DropoutGenerator(0, CPU), torch.float32)
    assert branch(torch.zeros(1, 604, 128)).shape == (1, 151, 128)
    convolutions = [layer for layer in branch.blocks if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [16, 32, 64, 128, 128, 128, 128]


def test_the_spectral_branch_standardizes_each_band() -> None:
    branch = SpectralBranch(128, 0.0, DropoutGenerator(0, CPU), torch.float32).eval()
    values = torch.randn(1, 604, 128, generator=torch.Generator().manual_seed(0))
    expected = branch(values)
    branch.mean.copy_(torch.linspace(-50, 50, 128))
    branch.deviation.copy_(torch.linspace(1, 20, 128))
    actual = branch(values * branch.deviation + branch.mean)
    assert torch.allclose(actual, expected, atol=1e-4)


def test_bfloat16_convolutions_are_close_to_float32() -> None:
    exact = SpectralBranch(128, 0.0, DropoutGenerator(0, CPU), torch.float32).eval()
    rounded = SpectralBranch(128, 0.0, DropoutGenerator(0, CPU), torch.bfloat16).eval()
    rounded.load_state_dict(exact.state_dict())
    values = torch.randn(1, 604, 128, generator=torch.Generator().manual_seed(0))
    difference = rounded(values) - exact(values)
    assert difference.abs().mean() < 0.01 * exact(values).abs().mean()


def test_linear_pooling_weighs_each_score_by_itself() -> None:
    scores = torch.tensor([[[0.2], [0.6]]])  # (0.2² + 0.6²) / (0.2 + 0.6)
    assert linear_pool(scores, torch.ones(1, 2, dtype=torch.bool)).item() == pytest.approx(0.5)


def test_linear_pooling_counts_valid_frames_only() -> None:
    scores = torch.tensor([[[0.2], [0.6], [0.9]]])
    mask = torch.tensor([[True, True, False]])
    assert linear_pool(scores, mask).item() == pytest.approx(0.5)


def test_linear_pooling_of_zeros_is_zero_and_has_a_gradient() -> None:
    scores = torch.zeros(1, 3, 1, requires_grad=True)
    pooled = linear_pool(scores, torch.ones(1, 3, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(pooled.sum(), scores)
    assert pooled.item() == 0
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(1001,), (8, 3, 50, 40)])
def test_dropout_zeroes_its_share_and_keeps_the_mean(shape: tuple[int, ...]) -> None:
    dropout = Dropout(0.33, DropoutGenerator(0, CPU))
    outputs = torch.cat([dropout(torch.ones(shape)).flatten() for _ in range(20)])
    assert (outputs == 0).float().mean().item() == pytest.approx(0.33, abs=0.005)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.01)
    assert set(outputs.tolist()) == {0.0, outputs.max().item()}


def test_dropout_draws_neighbors_independently() -> None:
    kept = Dropout(0.5, DropoutGenerator(0, CPU))(torch.ones(400_000)) > 0
    for distance in (1, 2, 3, 4):
        both = (kept[distance:] & kept[:-distance]).float().mean().item()
        assert both == pytest.approx(0.25, abs=0.005)


def test_dropout_keeps_the_layout_of_channels_last() -> None:
    inputs = torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last)
    outputs = Dropout(0.5, DropoutGenerator(0, CPU))(inputs)
    assert outputs.is_contiguous(memory_format=torch.channels_last)


def test_dropout_draws_from_its_own_generator_only() -> None:
    before = torch.random.get_rng_state()
    first = Dropout(0.5, DropoutGenerator(3, CPU))(torch.ones(64))
    second = Dropout(0.5, DropoutGenerator(3, CPU))(torch.ones(64))
    assert (first == second).all()
    assert (torch.random.get_rng_state() == before).all()


def test_a_restored_generator_draws_the_same() -> None:
    generator = DropoutGenerator(0, CPU)
    generator.draw(1001)
    state = generator.get_state()
    drawn = generator.draw(64)
    other = DropoutGenerator(1, CPU)
    assert not torch.equal(other.draw(64), drawn)
    other.set_state(state)
    assert torch.equal(other.draw(64), drawn)


def test_dropout_changes_nothing_in_evaluation() -> None:
    dropout = Dropout(0.5, DropoutGenerator(0, CPU)).eval()
    assert (dropout(torch.ones(64)) == 1).all()
