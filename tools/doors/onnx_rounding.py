"""Where an exported model and `bgad inspect` part: the same graph in 64 bit, and in 32 bit from one stage on.

usage: onnx_rounding.py BGAD MODEL FOLDER [--worst N] [--image-size HxW]

Of the images of FOLDER that differ most between ONNX Runtime and `bgad inspect`: how far each is from the graph evaluated in 64 bit, and how far
numpy is with some stages in 32 bit. What remains when the backbone alone is in 32 bit is the backbone's rounding, however exact the rest is.
"""
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent))
import onnx_runtimes as runtimes  # noqa: E402

STAGES = {"backbone": ("normalise/", "backbone/"), "flows": ("level", "companion/"), "score": ("",)}


def stage_of(node):
    return next(stage for stage, begins in STAGES.items() if node.name.startswith(begins))


def conv(x, weights, bias, attributes):
    """`[N, C, h, w]`: a sum over the places of the kernel."""
    strides, groups = attributes.get("strides", [1, 1]), attributes.get("group", 1)
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    n, channels, height, width = x.shape
    outputs, inputs, kh, kw = weights.shape
    rows, columns = (height - kh) // strides[0] + 1, (width - kw) // strides[1] + 1
    total = np.zeros((n, groups, outputs // groups, rows, columns), x.dtype)
    x = x.reshape(n, groups, inputs, height, width)
    weights = weights.reshape(groups, outputs // groups, inputs, kh, kw)
    for i in range(kh):
        for j in range(kw):
            seen = x[:, :, :, i : i + strides[0] * (rows - 1) + 1 : strides[0], j : j + strides[1] * (columns - 1) + 1 : strides[1]]
            seen = np.ascontiguousarray(seen).reshape(n, groups, inputs, rows * columns)
            total += (weights[:, :, :, i, j] @ seen).reshape(total.shape)
    total = total.reshape(n, outputs, rows, columns)
    return total if bias is None else total + bias.reshape(1, -1, 1, 1)


def max_pool(x, attributes):
    (kh, kw), strides, (top, left, bottom, right) = attributes["kernel_shape"], attributes["strides"], attributes["pads"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    return windows[:, :, :: strides[0], :: strides[1]].max(axis=(-2, -1))


def reduced(of):
    return lambda a, i: of(i[0], axis=tuple(int(n) for n in (i[1] if len(i) > 1 else a["axes"])), keepdims=bool(a.get("keepdims", 1)))


def sliced(_, i):
    x, starts, ends, axes = i
    at = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes):
        at[axis] = slice(int(start), int(end))
    return x[tuple(at)]


def top_k(a, i):
    order = np.argsort(-i[0], axis=a["axis"], kind="stable").take(range(int(i[1][0])), axis=a["axis"])
    return np.take_along_axis(i[0], order, axis=a["axis"]), order


def pad(_, i):
    half = len(i[1]) // 2
    return np.pad(i[0], list(zip(i[1][:half], i[1][half:])), constant_values=i[2])


OPERATORS = {
    "Conv": lambda a, i: conv(i[0], i[1], i[2] if len(i) > 2 else None, a),
    "MaxPool": lambda a, i: max_pool(i[0], a),
    "GlobalAveragePool": lambda a, i: i[0].mean(axis=(2, 3), keepdims=True),
    "Add": lambda a, i: i[0] + i[1],
    "Sub": lambda a, i: i[0] - i[1],
    "Mul": lambda a, i: i[0] * i[1],
    "Div": lambda a, i: i[0] / i[1],
    "Min": lambda a, i: np.minimum(i[0], i[1]),
    "Max": lambda a, i: np.maximum(i[0], i[1]),
    "Neg": lambda a, i: -i[0],
    "Exp": lambda a, i: np.exp(i[0]),
    "Log": lambda a, i: np.log(i[0]),
    "Tanh": lambda a, i: np.tanh(i[0]),
    "Sigmoid": lambda a, i: 1 / (1 + np.exp(-i[0])),
    "Relu": lambda a, i: np.maximum(i[0], 0),
    "Clip": lambda a, i: np.clip(i[0], i[1], i[2]),
    "MatMul": lambda a, i: i[0] @ i[1],
    "ReduceSum": reduced(np.sum),
    "ReduceMean": reduced(np.mean),
    "ReduceMax": reduced(np.max),
    "ReduceMin": reduced(np.min),
    "Concat": lambda a, i: np.concatenate(i, axis=a["axis"]),
    "Split": lambda a, i: tuple(np.split(i[0], np.cumsum(i[1])[:-1], axis=a["axis"])),
    "Gather": lambda a, i: np.take(i[0], i[1], axis=a["axis"]),
    "Slice": sliced,
    "Pad": pad,
    "TopK": top_k,
    "Reshape": lambda a, i: i[0].reshape([n if n else i[0].shape[k] for k, n in enumerate(i[1])]),
    "Flatten": lambda a, i: i[0].reshape(i[0].shape[0], -1),
    "Transpose": lambda a, i: i[0].transpose(a["perm"]),
    "Unsqueeze": lambda a, i: np.expand_dims(i[0], tuple(int(n) for n in i[1])),
    "Squeeze": lambda a, i: np.squeeze(i[0], tuple(int(n) for n in i[1])),
    "Where": lambda a, i: np.where(i[0], i[1], i[2]),
    "Greater": lambda a, i: i[0] > i[1],
    "GreaterOrEqual": lambda a, i: i[0] >= i[1],
    "LessOrEqual": lambda a, i: i[0] <= i[1],
    "And": lambda a, i: i[0] & i[1],
    "Not": lambda a, i: ~i[0],
    "IsNaN": lambda a, i: np.isnan(i[0]),
    "Cast": lambda a, i: i[0].astype(onnx.helper.tensor_dtype_to_np_dtype(a["to"])),
}


class Graph:
    """The graph of a file, evaluated by numpy."""

    def __init__(self, file):
        self.graph = onnx.load(file).graph
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.graph.initializer}

    def run(self, image, in_32=()):
        """All values; in 64 bit but for the stages of `in_32`."""
        values = self.constants | {"input": image[None]}
        for node in self.graph.node:
            kind = np.float32 if stage_of(node) in in_32 else np.float64
            given = [values[name] for name in node.input]
            given = [value.astype(kind) if value.dtype in (np.float32, np.float64) else value for value in given]
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            found = OPERATORS[node.op_type](attributes, given)
            values.update(zip(node.output, found if isinstance(found, tuple) else (found,)))
        return values


def main():
    asked = runtimes.asked
    files = runtimes.images()
    native = runtimes.export("native")
    meta = {entry.key: entry.value for entry in onnx.load(native).metadata_props}
    how = runtimes.json.loads(meta["bgad.preprocess"])
    decoded = runtimes.as_pixels(files)
    inputs = [runtimes.verify_export.preprocess(runtimes.picture(path), how).astype(np.float32) for path in decoded]
    session, _ = runtimes.verify_export.runtime_of(str(native), "onnxruntime", None)
    of_engine = runtimes.inspected(decoded, Path("maps-rounding"))
    of_runtime = [session(image[None]) for image in inputs]
    graph = Graph(native)
    ways = {"all in 32 bit": tuple(STAGES), **{f"{stage} in 32 bit": (stage,) for stage in STAGES}}

    def off_by(found, want):
        return abs(float(found["score"][0]) - want["score"]), np.abs(found["map"][0] - want["map"]).max()

    def worst(title, chosen, measured):
        """A table of the images with the largest differences of this kind."""
        apart = {i: measured(of_runtime[i], {"score": of_engine[i][0]["score"], "map": of_engine[i][1]}) for i in chosen}
        print(f"\n{title}\n\n| image | score | bgad and ONNX Runtime | bgad | ONNX Runtime | {' | '.join(ways)} |\n" + "|---" * (5 + len(ways)) + "|")
        for i in sorted(apart, key=lambda i: -apart[i])[: asked.worst]:
            exact = graph.run(inputs[i])
            exact = {"score": float(exact["score"][0]), "map": exact["map"][0]}
            of_bgad = {"score": np.array([of_engine[i][0]["score"]]), "map": of_engine[i][1][None]}
            all_of = [of_bgad, of_runtime[i], *(graph.run(inputs[i], way) for way in ways.values())]
            cells = " | ".join(f"{value:.1e}" for value in [apart[i], *(measured(found, exact) for found in all_of)])
            print(f"| {files[i].name} | {exact['score']:.1f} | {cells} |", flush=True)

    ordinary = [i for i, (record, _) in enumerate(of_engine) if record["score"] <= runtimes.ORDINARY]
    worst("Largest difference of a pixel of the map, nats, of images up to 50 nats", ordinary, lambda found, want: off_by(found, want)[1])
    others = [i for i in range(len(files)) if i not in ordinary]
    worst("Difference of the score, relative, of images above", others, lambda found, want: off_by(found, want)[0] / want["score"])


if __name__ == "__main__":
    runtimes.asked = runtimes.arguments()
    main()
