"""BGAD in PyTorch, written from docs/method.md: what golden files are recorded with and what results are compared with.

It shares nothing with the Rust code except the page it was written from. The coupling block is FrEIA 0.2's
`AllInOneBlock`: later FrEIA versions changed its clamp and cannot be used.
"""

import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from FrEIA.modules import AllInOneBlock

CONDITION_CHANNELS = 128
BLOCKS = 8
CLAMP = 1.9
NORMALIZER = 10.0
TAU = 0.1
Q_CAP = 1e-3


def position_code(h, w, d=CONDITION_CHANNELS):
    """[d, h, w]: the first d/2 channels code the column, the last d/2 the row; sin on even channels, cos on odd ones."""
    half = d // 2
    frequency = torch.exp(torch.arange(0.0, half, 2) * -(math.log(10000.0) / half))
    code = torch.zeros(d, h, w)
    column = torch.arange(0.0, w)[None, :] * frequency[:, None]
    row = torch.arange(0.0, h)[None, :] * frequency[:, None]
    code[0:half:2], code[1:half:2] = column.sin()[:, None, :], column.cos()[:, None, :]
    code[half::2], code[half + 1 :: 2] = row.sin()[:, :, None], row.cos()[:, :, None]
    return code


def subnet(channels_in, channels_out):
    return torch.nn.Sequential(
        torch.nn.Linear(channels_in, 2 * channels_in), torch.nn.ReLU(), torch.nn.Linear(2 * channels_in, channels_out)
    )


class Flow(torch.nn.Module):
    """Eight conditional blocks over vectors of `channels`. Rotations come from numpy's global generator (scipy)."""

    def __init__(self, channels, blocks=BLOCKS):
        super().__init__()
        self.channels = channels
        self.blocks = torch.nn.ModuleList(
            AllInOneBlock(
                [(channels,)],
                [(CONDITION_CHANNELS,)],
                subnet_constructor=subnet,
                affine_clamping=CLAMP,
                global_affine_type="SOFTPLUS",
                permute_soft=True,
            )
            for _ in range(blocks)
        )

    def forward(self, x, condition):
        """x [n, c], condition [n, 128] -> z [n, c], log_det [n]."""
        log_det = x.new_zeros(len(x))
        for block in self.blocks:
            (x,), step = block((x,), (condition,))
            log_det = log_det + step
        return x, log_det

    def tensors(self):
        """Name -> parameter, in the names of the golden files; rotation is not trained."""
        named = {}
        for k, block in enumerate(self.blocks):
            named |= {
                f"block{k}.gamma": block.global_scale,
                f"block{k}.offset": block.global_offset,
                f"block{k}.rotation": block.w_perm,
                f"block{k}.w1": block.subnet[0].weight,
                f"block{k}.b1": block.subnet[0].bias,
                f"block{k}.w2": block.subnet[2].weight,
                f"block{k}.b2": block.subnet[2].bias,
            }
        return named

    def trained(self):
        return [p for name, p in self.tensors().items() if not name.endswith("rotation")]


def logp_per_channel(z, log_det):
    """l: log-likelihood in nats, divided by the number of channels."""
    c = z.shape[1]
    return (-0.5 * c * math.log(2 * math.pi) - 0.5 * (z**2).sum(1) + log_det) / c


def focal_normal(l):
    q = l.detach() / NORMALIZER
    return torch.where(q > -0.2, torch.ones_like(q), 11.7 * (1 - q.exp()).clamp_min(0).sqrt() * q.abs())


def focal_abnormal(l):
    q = l.detach() / NORMALIZER
    return torch.where(q <= -1, torch.ones_like(q), 0.53 * (1 + q.exp()) ** 2 / q.abs().clamp_min(Q_CAP))


@dataclasses.dataclass
class Loss:
    """The loss and its parts; boundaries and contrastive parts are None where there was no anomalous position."""

    loss: torch.Tensor
    ml: torch.Tensor
    pull: torch.Tensor | None = None
    push: torch.Tensor | None = None
    b_n: torch.Tensor | None = None
    b_a: torch.Tensor | None = None


def ml_loss(l, weights=None):
    nll = -F.logsigmoid(l)
    return (nll if weights is None else weights * nll).mean()


def boundary(normal_hat, beta):
    """b_n and b_a of one batch. The rank is a product in f32, as the authors' tensor arithmetic makes it."""
    rank = int(torch.tensor(float(len(normal_hat)), dtype=torch.float32) * beta)
    b_n = normal_hat.detach().sort().values[rank]
    return b_n, b_n - TAU


def bgad_loss(l, mask, beta, focal, weight=1.0):
    """Loss of one step on l [n] with mask [n] (0 normal, 1 anomalous); maximum likelihood alone without anomalies."""
    normal, abnormal = l[mask == 0], l[mask > 0]
    w_n = focal_normal(normal) if focal else torch.ones_like(normal)
    ml = ml_loss(normal, w_n)
    if len(abnormal) == 0:
        return Loss(loss=ml, ml=ml)
    w_a = focal_abnormal(abnormal) if focal else torch.ones_like(abnormal)
    normal_hat, abnormal_hat = normal / NORMALIZER, abnormal / NORMALIZER
    b_n, b_a = boundary(normal_hat, beta)
    low, high = normal_hat <= b_n, abnormal_hat >= b_a
    zero = l.sum() * 0
    pull = (w_n[low] * (b_n - normal_hat[low])).mean() if low.any() else zero
    push = (w_a[high] * (abnormal_hat[high] - b_a)).mean() if high.any() else zero
    return Loss(ml + weight * (pull + push), ml, pull, push, b_n, b_a)


def adam(parameters, lr, capturable=False):
    return torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.999), eps=1e-8, capturable=capturable)


def seed_everything(seed):
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
