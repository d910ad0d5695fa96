"""The LSTM on packed words."""

import itertools
import threading
from collections.abc import Sequence

import numpy as np

from siamese.inference.layers import products
from siamese.inference.layers.recurrent import Recurrent
from siamese.inference.packing import Packing
from siamese.inference.parts import Tables, Take, register

ONE, HALF = np.array(1, np.float32), np.array(0.5, np.float32)  # arrays, as an operation converts other numbers first
HALVES = np.full(2, HALF)
MOST_STEPS = 256  # of a question that is read in memory of its own, 1.3 MB with 128 units


@register
class BidirectionalLSTM(Recurrent):
    """An LSTM from the first word of each question on, beside one from its last (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c). Columns of a
    direction: i, f, o, g.
    """

    keras_classes = ("siamese.model.lstm.BidirectionalLSTM",)
    operator = "LSTM"
    gates = (0, 2, 1, 3)  # ONNX: i, o, f, g

    def __init__(self, take: Take, width: int, /, units: int):
        super().__init__(take, width, units)
        self._kernel_of_twice = np.stack(self._recurrent_kernels) / 2
        self._kernels_of_one = self._kernel_of_twice
        if products.IN_BLOCKS:
            self._kernels_of_one = np.concatenate([products.in_blocks(each) for each in self._kernel_of_twice])
        self._steps = _Steps(self.directions, units)

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        if packing.is_one and source is None and len(tables[0]) <= MOST_STEPS:
            return self._read_one(tables)
        return super().compute(tables, source, packing)

    def _read_one(self, tables: Tables) -> np.ndarray:
        """`compute` for one question, whose numbers cost less than the calls of NumPy: few, on views made before."""
        tokens, own = len(tables[0]), self._steps
        for direction, table in enumerate(tables):
            own.x[:tokens, direction, : 4 * self.units] = table[::-1] if direction else table
        matmul, dot, add, multiply, tanh = np.matmul, np.dot, np.add, np.multiply, np.tanh
        kernels, multiplied, recurrent = self._kernels_of_one, own.multiplied, own.recurrent
        activations, sigmoids, output, c, tanh_c = own.activations, own.sigmoids, own.output, own.c, own.tanh_c
        left, right, summands, summands_apart = own.left, own.right, own.summands, own.summands_apart
        c[:] = 0
        for x, x_in_blocks, before, after in own.steps[:tokens]:
            if before is not None:
                matmul(before, kernels, multiplied)
                add(x_in_blocks, recurrent, x_in_blocks)
            tanh(x, activations)
            add(sigmoids, ONE, sigmoids)
            multiply(left, right, summands)  # 2 i g and 2 f c
            dot(HALVES, summands_apart, c)
            tanh(c, tanh_c)
            multiply(output, tanh_c, after)  # 2 h
        h = np.empty((tokens, self.width), np.float32)
        states = own.states[:tokens]
        multiply(states[:, 0], HALF, h[:, : self.units])
        if self.directions == 2:
            multiply(states[::-1, 1], HALF, h[:, self.units :])
        return h

    def recur(self, tables: Tables, rows: Sequence[np.ndarray], starts: Sequence[int], states: np.ndarray) -> None:
        """Both directions in each operation, and 2 sigmoid(x) = 1 + tanh(x / 2) in place of each gate."""
        units, directions = self.units, self.directions
        questions = starts[1] if len(starts) > 1 else 0
        x = np.empty((directions, questions, 4 * units), np.float32)
        recurrent = np.empty((directions, max(2, questions), 4 * units), np.float32)
        z = np.zeros((directions, questions, 5 * units), np.float32)  # i, f, o, g and c side by side
        summands = np.empty((directions, questions, 2 * units), np.float32)
        before = states[:, :0]
        for start, end in itertools.pairwise(starts):
            n = end - start  # questions that still have a word
            x, z, summands = x[:, :n], z[:, :n], summands[:, :n]
            for table, row, own in zip(tables, rows, x, strict=True):
                np.take(table, row[start:end], axis=0, out=own, mode="clip")  # "clip" writes straight into `out`
            if start:
                before = before[:, :n] if n > 1 else np.repeat(before[:, :1], 2, axis=1)  # as in `_Steps`
                np.matmul(before, self._kernel_of_twice, out=recurrent[:, : before.shape[1]])
                np.add(x, recurrent[:, :n], out=x)
            np.tanh(x, out=z[..., : 4 * units])
            gates, c = z[..., : 3 * units], z[..., 4 * units :]
            np.add(gates, ONE, out=gates)
            np.multiply(z[..., : 2 * units], z[..., 3 * units :], out=summands)  # 2 i g and 2 f c
            np.add(summands[..., :units], summands[..., units:], out=c)
            np.multiply(c, HALF, out=c)
            before = states[:, start:end]  # 2 h
            np.multiply(gates[..., 2 * units :], np.tanh(c, out=summands[..., :units]), out=before)
        states *= HALF


@register
class ForwardLSTM(BidirectionalLSTM):
    """The forward direction alone."""

    keras_classes = ("siamese.model.lstm.ForwardLSTM",)
    directions = 1


class _Steps(threading.local):
    """Memory of each thread for the steps of one question, and the parts of it that a step works on.

    The gates i, f, o, g and the cells c lie one after another, each of all directions, so that most operations read and write
    one row of numbers.
    """

    def __init__(self, directions: int, units: int):
        both, columns = directions * units, products.COLUMNS if products.IN_BLOCKS else 4 * units
        blocks = -(-4 * units // columns)  # of a kernel
        self.x = np.zeros((MOST_STEPS, directions, blocks * columns), np.float32)
        self.states = np.zeros((MOST_STEPS, 2, units), np.float32)  # twice; with one direction, a second row of zeros
        z = np.empty(5 * both, np.float32)
        self.activations = z[: 4 * both].reshape(4, directions, units).swapaxes(0, 1)
        self.sigmoids, self.output, self.c = z[: 3 * both], z[2 * both : 3 * both], z[4 * both :]
        self.left, self.right = z[: 2 * both], z[3 * both :]
        self.summands, self.tanh_c = np.empty(2 * both, np.float32), np.empty(both, np.float32)
        self.summands_apart = self.summands.reshape(2, both)
        if products.IN_BLOCKS:
            # blocks multiply the states of both directions, and need one: OpenBLAS sums a single row in another order than the
            # rows of a batch
            before, self.multiplied = self.states, np.empty((directions * blocks, 2, columns), np.float32)
            own = self.multiplied.reshape(directions, blocks, 2, columns).diagonal(axis1=0, axis2=2)
            self.recurrent = own.transpose(2, 0, 1)  # float32[directions, blocks, columns]
        else:
            before = self.states[:, :directions, None]
            self.multiplied = self.recurrent = np.empty((directions, blocks, columns), np.float32)
        x = self.x[..., : 4 * units].reshape(MOST_STEPS, directions, 4, units)
        x_in_blocks = self.x.reshape(MOST_STEPS, directions, blocks, columns)
        after = [states[:directions].reshape(both) for states in self.states]
        self.steps = list(zip(x, x_in_blocks, [None, *before], after, strict=False))
