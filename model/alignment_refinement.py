"""A second look at an alignment as a picture: what stands around a cell tells of it.

A head judges each cell of the matrix by itself, and so takes a word that occurs twice for either,
and a word that it knows badly for any. The cells around it know better: neighbours go together, and
a source token that another target token has claimed is less likely wanted again.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

FEATURES = 5
"""What is seen of each cell."""
NEIGHBOURHOOD = 9
"""Cells of three rows and three columns."""
LEAST = -12.0
"""Logarithms below it look alike."""
SCALE = 4.0
"""Logarithms are divided by it, to be about as large as shares."""
ROWS = 64
"""Rows worked on at a time: nine copies of a long text's whole matrix would take much memory."""


class AlignmentRefinement(nn.Module):
    """Adds to each energy what three layers over 3 × 3 cells make of the matrix.

        x_ij  = [log p(j|i), log p(i|j), log α_ij, p(j|i), p(i|j)]
        h     = relu(W₂ * relu(W₁ * x + b₁) + b₂)
        e'_ij = e_ij + (W₃ * h)_ij

    p(j|i) is the softmax of the energies over the source and p(i|j) that over the target; `*` is a
    convolution, with zeros around the matrix. Zenkel et al. 2020 ("End-to-End Neural Word Alignment
    Outperforms GIZA++") reward links side by side by a fixed kernel in the loss; here the kernel is
    learned, and looks at both directions. It begins with no change (W₃ = 0).

    `channels` is the width of both hidden layers. It needs whole targets. A cell's result depends
    on nothing but its own matrix.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Linear(NEIGHBOURHOOD * FEATURES, channels)
        self.second = nn.Linear(NEIGHBOURHOOD * channels, channels)
        self.outer = nn.Linear(NEIGHBOURHOOD * channels, 1, bias=False)
        nn.init.zeros_(self.outer.weight)

    def forward(
        self,
        energies: Float[Tensor, "B T S"],
        log_attention: Float[Tensor, "B T S"],
        cells: Bool[Tensor, "B T S"],
    ) -> Float[Tensor, "B T S"]:
        """The energies refined; those where `cells` is false, on padding, mean nothing."""
        real = cells[..., None]
        hidden = _features(energies, log_attention, cells)
        for layer in (self.first, self.second):
            hidden = torch.relu(_around(layer, hidden * real))
        return energies + _around(self.outer, hidden * real)[..., 0]


def _features(
    energies: Float[Tensor, "B T S"],
    log_attention: Float[Tensor, "B T S"],
    cells: Bool[Tensor, "B T S"],
) -> Float[Tensor, "B T S F"]:
    """What is seen of each cell: its share of its row and of its column, and the attention."""
    # Not −∞: a row of padding alone would become NaN, and so would gradients.
    known = energies.masked_fill(~cells, torch.finfo(energies.dtype).min / 2)
    row, column = known.log_softmax(-1), known.log_softmax(-2)
    logarithms = [share.clamp(min=LEAST) / SCALE for share in (row, column, log_attention)]
    return torch.stack([*logarithms, row.exp(), column.exp()], dim=-1)


def _around(layer: nn.Linear, matrix: Float[Tensor, "B T S C"]) -> Float[Tensor, "B T S N"]:
    """A convolution over 3 × 3 cells, as a product with each cell's neighbours side by side.

    oneDNN's own would compile and keep a kernel for every size of a matrix, and a service meets all
    sizes.
    """
    rows, columns = matrix.shape[1:3]
    framed = pad(matrix, (0, 0, 1, 1, 1, 1))
    parts: list[Tensor] = []
    for begin in range(0, rows, ROWS):
        height = min(ROWS, rows - begin)
        neighbours = torch.cat(
            [
                framed[:, begin + down : begin + down + height, right : right + columns]
                for down in range(3)
                for right in range(3)
            ],
            dim=-1,
        )
        parts.append(layer(neighbours))
    return torch.cat(parts, dim=1)
