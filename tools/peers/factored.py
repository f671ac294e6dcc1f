"""The flow of `method.Flow` with the same values and gradients, several times fewer operations, for long runs on a CPU.

A row's condition is a code of its column beside a code of its row, so the first layer of a subnet is

    W [x; c_column; c_row] + b = W_x x + T_column[column] + T_row[row],   T_column = W_column c + b,  T_row = W_row c

with tables T of one row per column and one per row of the map, far fewer than a step has positions. Hidden layers are
computed in pieces that stay in a core's cache.
"""

import method
import torch

PIECE = 1024


class Subnet(torch.autograd.Function):
    """W_2 relu(W_x x + table[column] + table[row]) + b_2 for x [n, c / 2]; `hidden` [n, hidden channels] to work in."""

    @staticmethod
    def forward(ctx, x, w_x, table, w_2, b_2, column, row, hidden):
        ctx.save_for_backward(x, w_x, table, w_2, column, row)
        ctx.hidden = hidden
        y, other = x.new_empty(len(x), len(w_2)), torch.empty_like(hidden[:PIECE])
        for at in range(0, len(x), PIECE):
            piece = slice(at, at + PIECE)
            h, o = hidden[piece], other[: len(x) - at]
            torch.index_select(table, 0, column[piece], out=h)
            torch.index_select(table, 0, row[piece], out=o)
            h.add_(o).addmm_(x[piece], w_x.T).relu_()
            torch.addmm(b_2, h, w_2.T, out=y[piece])
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w_x, table, w_2, column, row = ctx.saved_tensors
        dx, dw_x, dw_2 = torch.empty_like(x), w_x.new_zeros(w_x.T.shape), torch.zeros_like(w_2)
        dtable, room = torch.zeros_like(table), torch.empty_like(ctx.hidden[:PIECE])
        for at in range(0, len(x), PIECE):
            piece = slice(at, at + PIECE)
            h, dh = ctx.hidden[piece], room[: len(x) - at]
            torch.mm(dy[piece], w_2, out=dh)
            torch.ops.aten.threshold_backward.grad_input(dh, h, 0, grad_input=dh)
            dtable.index_add_(0, column[piece], dh).index_add_(0, row[piece], dh)
            torch.mm(dh, w_x, out=dx[piece])
            dw_x.addmm_(x[piece].T, dh)
            dw_2.addmm_(dy[piece].T, h)
        return dx, dw_x.T, dtable, dw_2, dy.sum(0), None, None, None


class FactoredFlow:
    """As the `method.Flow` it is made of, for rows of a square map of `side`; all else of a block is FrEIA's."""

    def __init__(self, flow, side):
        self.flow, self.side = flow, side
        self.half, self.d = flow.channels // 2, method.CONDITION_CHANNELS // 2
        self.code = method.position_code(1, side)[: self.d, 0].T.contiguous()
        self.hidden = []

    def __call__(self, x, position):
        """x [n, c], position [n]: row-major in the map -> z [n, c], log_det [n]. Backward before the next call."""
        if not self.hidden or len(self.hidden[0]) != len(x):
            self.hidden = [x.new_empty(len(x), block.subnet[0].out_features) for block in self.flow.blocks]
        column, row = position % self.side, position // self.side + self.side
        log_det = x.new_zeros(len(x))
        for block, hidden in zip(self.flow.blocks, self.hidden):
            first, second = block.subnet[0], block.subnet[2]
            w_x, w_column, w_row = first.weight.split([self.half, self.d, self.d], 1)
            table = torch.cat([self.code @ w_column.T + first.bias, self.code @ w_row.T])
            x1, x2 = x.split(self.half, 1)
            a = Subnet.apply(x1, w_x, table, second.weight, second.bias, column, row, hidden)
            x2, step = block._affine(x2, a)
            x, scaling = block._permute(torch.cat([x1, x2], 1))
            log_det = log_det + step + scaling
        return x, log_det
