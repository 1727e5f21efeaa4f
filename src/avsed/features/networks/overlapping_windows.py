"""Apply convolution layers to overlapping windows; compute once what the windows share.

A window of a longer sequence is padded with zeros. Only the rows (of time) near its first and its
last row depend on this padding: one row at each end after the first convolution, one more after
every further one, and half as many (rounded up) after a pooling. All other rows are equal in all
windows that contain them. They are computed once, by convolutions over the whole sequence.

A pooling halves the rows of a window, starting with its first row. If windows start at even and at
odd rows of the sequence, the sequence keeps all its rows, and the rows of a window are then every
second row of it. Convolutions skip the others by dilation (algorithme a trous; for windows of a
network: Li et al., 2014, arXiv:1412.4526).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class _Maps:
    """The maps of N windows with rows of W bins and C channels.

    Row i of window k is row k * hop + i * step of the sequence, apart from the rows at its ends.

    Attributes:
        sequence: (T, W, C).
        top: (N, n, W, C) first rows of each window, which depend on the padding before it.
        bottom: (N, n, W, C) last rows of each window, which depend on the padding after it.
        n_rows: rows of a window.
        hop: rows of the sequence from one window to the next.
        step: rows of the sequence from one row of a window to the next.
    """

    sequence: Tensor
    top: Tensor
    bottom: Tensor
    n_rows: int
    hop: int
    step: int

    def shared(self, start: int, stop: int) -> Tensor:
        """Return a view of the rows from start to stop of each window, (N, stop - start, W, C)."""
        windows = self.sequence.unfold(0, (self.n_rows - 1) * self.step + 1, self.hop)
        return windows.movedim(-1, 1)[:, :: self.step][:, start:stop]


def apply_to_windows(
    layers: Iterable[nn.Module], sequence: Tensor, *, n_rows: int, hop: int
) -> Tensor:
    """Apply layers to the overlapping windows of a sequence.

    Args:
        layers: convolutions of 3 x 3 padded by 1, max poolings of 2 x 2 and element-wise layers.
        sequence: (T, W), the rows of all windows.
        n_rows: of a window, divisible by 2 for each pooling.
        hop: rows from one window to the next.

    Returns:
        (N, rows, bins, channels), the maps that the layers compute of each window alone.

    Raises:
        ValueError: if almost all rows of a window depend on the padding.
    """
    rows = sequence.unsqueeze(-1)
    nothing = rows.unfold(0, n_rows, hop).movedim(-1, 1)[:, :0]
    maps = _Maps(sequence=rows, top=nothing, bottom=nothing, n_rows=n_rows, hop=hop, step=1)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            maps = _convolve(maps, layer)
        elif isinstance(layer, nn.MaxPool2d):
            maps = _pool(maps)
        else:
            maps = replace(
                maps,
                sequence=layer(maps.sequence),
                top=layer(maps.top),
                bottom=layer(maps.bottom),
            )
    n_edge = maps.top.shape[1]
    return torch.cat([maps.top, maps.shared(n_edge, maps.n_rows - n_edge), maps.bottom], 1)


def _convolve(maps: _Maps, layer: nn.Conv2d) -> _Maps:
    def convolve(rows: Tensor, *, padding: int, dilation: int = 1) -> Tensor:
        return functional.conv2d(
            rows.movedim(-1, 1),
            layer.weight,
            layer.bias,
            padding=(padding, 1),
            dilation=(dilation, 1),
        ).movedim(1, -1)

    n_edge = maps.top.shape[1]
    end = maps.n_rows - n_edge
    if end - n_edge < 4:  # two for `top` and `bottom` each; two remain, and a pooling takes them
        raise ValueError(f"windows have {maps.n_rows} rows, too few of which are shared")
    zeros = torch.zeros_like(maps.shared(0, 1))
    top = torch.cat([zeros, maps.top, maps.shared(n_edge, n_edge + 2)], 1)
    bottom = torch.cat([maps.shared(end - 2, end), maps.bottom, zeros], 1)
    return replace(
        maps,
        # The padding reaches only rows at the end of a window, which `top` and `bottom` replace.
        sequence=convolve(maps.sequence[None], padding=maps.step, dilation=maps.step)[0],
        top=convolve(top, padding=0),
        bottom=convolve(bottom, padding=0),
    )


def _pool(maps: _Maps) -> _Maps:
    def pool(rows: Tensor, *, stride: int = 2, dilation: int = 1) -> Tensor:
        return functional.max_pool2d(
            rows.movedim(-1, 1), 2, stride=(stride, 2), dilation=(dilation, 1)
        ).movedim(1, -1)

    n_edge = maps.top.shape[1]
    end = maps.n_rows - n_edge
    n_more = n_edge % 2
    top = torch.cat([maps.top, maps.shared(n_edge, n_edge + n_more)], 1)
    bottom = torch.cat([maps.shared(end - n_more, end), maps.bottom], 1)
    if maps.step == 1 and maps.hop % 2 == 0:
        sequence = pool(maps.sequence[None])[0]
        hop, step = maps.hop // 2, 1
    else:
        sequence = pool(maps.sequence[None], stride=1, dilation=maps.step)[0]
        hop, step = maps.hop, 2 * maps.step
    return _Maps(
        sequence=sequence,
        top=pool(top),
        bottom=pool(bottom),
        n_rows=maps.n_rows // 2,
        hop=hop,
        step=step,
    )
