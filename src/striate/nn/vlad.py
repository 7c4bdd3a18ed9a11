"""NetVLAD: a feature map of any size as one vector of residuals to learned centres, pooled by a soft assignment.

    a[n,k,h,w] = softmax over k of (sum_d w[k,d] x[n,d,h,w] + b[k])
    V[n,k,d]   = sum over h, w of a[n,k,h,w] (x[n,d,h,w] - c[k,d])  =  a x' - (sum of a) c
    y[n]       = V with each row V[n,k] divided by its norm (intra-normalisation), flattened, divided by its norm

    N batch   D features (channels)   K clusters        2 K D + K parameters: w, b and the centres c are learned apart

Source: Arandjelovic, Gronat, Torii, Pajdla & Sivic, NetVLAD, arXiv:1511.07247, section 3.1.
"""

from __future__ import annotations

import numpy as np

from striate.errors import ShapeError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.conv import Conv2d
from striate.nn.functional.arguments import images
from striate.nn.module import Module, Parameter, check_sizes


class NetVLAD(Module):
    """(N, dim, H, W) of any H and W -> (N, num_clusters * dim) of norm 1.

    The centres start uniform in 0 .. 1 and the assignment at them: w = 2 alpha c, b = -alpha |c|^2, so that the nearest centre
    gets the more the larger alpha is. normalize_input divides the features of each pixel by their norm first.

    >>> net = NetVLAD(num_clusters=4, dim=8)
    >>> sum(p.size for p in net.parameters()) == 2 * 4 * 8 + 4
    True
    >>> y = net(np.ones((1, 8, 5, 6), np.float32))
    >>> y.shape, bool(abs(np.linalg.norm(y) - 1) < 1e-5)
    ((1, 32), True)
    """

    def __init__(self, num_clusters: int = 64, dim: int = 128, alpha: float = 100.0, normalize_input: bool = True):
        super().__init__()
        check_sizes(num_clusters=num_clusters, dim=dim)
        self.num_clusters, self.dim, self.alpha, self.normalize_input = num_clusters, dim, alpha, normalize_input
        self.conv = Conv2d(dim, num_clusters, 1)
        self.centroids = Parameter(np.zeros((num_clusters, dim), np.float32))  # a net that is loaded draws nothing
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new centres, and put the assignment at them."""
        init.uniform_(self.centroids)
        centres = self.centroids.numpy()
        self.conv.weight.data = (2 * self.alpha * centres)[:, :, None, None]
        self.conv.bias.data = -self.alpha * (centres**2).sum(1)

    def forward(self, input: Value) -> Value:
        return images(input, self.aggregate)

    def aggregate(self, x: Value) -> Value:
        """(N, D, H, W) -> (N, K * D)."""
        if x.ndim != 4 or x.shape[1] != self.dim:
            raise ShapeError(f"x has shape {x.shape} but NetVLAD reads (N, {self.dim}, H, W)", fix=f"give it {self.dim} channels")
        if self.normalize_input:
            x = F.normalize(x)
        a = self.conv(x).flatten(2).softmax(1)
        residuals = F.matmul(a, x.flatten(2).transpose(1, 2)) - a.sum(2, keepdim=True) * self.centroids
        return F.normalize(F.normalize(residuals, dim=2).flatten(1))

    def extra_repr(self) -> str:
        return f"num_clusters={self.num_clusters}, dim={self.dim}, alpha={self.alpha}, normalize_input={self.normalize_input}"
