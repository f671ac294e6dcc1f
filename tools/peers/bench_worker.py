#!/usr/bin/env python3
"""The peers of `cargo xtask bench`: one process, one case a line on stdin, `NANOSECONDS OPERATIONS` on stdout.

    bench_worker.py --threads 1 --scratch DIR

    flow-train C | flow-eval C     a step of 4096 positions through eight FrEIA blocks, PyTorch eager
    features-torch NAME            three feature maps of one 256x256 image, timm in PyTorch eager
    features-onnx NAME             the same in ONNX Runtime, f32
    features-openvino NAME         the same in OpenVINO, told f32
    inspect-onnx DIR               every image of a folder: Pillow, network and flows of CFLOW's size in ONNX Runtime
    inspect-openvino DIR           the same in OpenVINO, told f32
    weights NAME FILE              random weights of a network as safetensors, and its ONNX file from the same weights

A case is set up and run once before it is timed. Operations are not counted here: 0.
"""

import argparse
import pathlib
import statistics
import sys
import time

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import method

ROWS = 4096
GRID = 64
INPUT = 256
WINDOW_NS = 150_000_000
WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "crates/bgad/weights"


def flow_rows(channels):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, channels, generator=generator)
    at = torch.randperm(GRID * GRID, generator=generator)
    condition = method.position_code(GRID, GRID).flatten(1).T[at].contiguous()
    mask = (torch.arange(ROWS) % 50 == 0).float()
    return x, condition, mask


def flow_train(channels):
    x, condition, mask = flow_rows(int(channels))
    method.seed_everything(0)
    flow = method.Flow(int(channels))
    optimizer = method.adam(flow.trained(), 1e-4)

    def step():
        loss = method.bgad_loss(method.logp_per_channel(*flow(x, condition)), mask, 0.05, False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def flow_eval(channels):
    x, condition, _ = flow_rows(int(channels))
    method.seed_everything(0)
    flow = method.Flow(int(channels)).eval()

    @torch.no_grad()
    def step():
        method.logp_per_channel(*flow(x, condition))

    return step


def network(name):
    import timm
    from safetensors.torch import load_file

    torch.manual_seed(0)
    model = timm.create_model(name, features_only=True, out_indices=(1, 2, 3), pretrained=False).eval()
    embedded = WEIGHTS / f"{name}.safetensors"
    if embedded.exists():
        model.load_state_dict(load_file(embedded), strict=False)
    return model


def image():
    return torch.rand(1, 3, INPUT, INPUT, generator=torch.Generator().manual_seed(2))


def export(model, name, outputs):
    path = options.scratch / f"{name}.onnx"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        torch.onnx.export(model, (image(),), str(unfinished), dynamo=False, input_names=["image"], output_names=outputs)
        unfinished.rename(path)
    return path


def features_torch(name):
    model, x = network(name), image()

    @torch.no_grad()
    def step():
        model(x)

    return step


def onnx_session(path):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"image": x})


def openvino_session(path):
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": options.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()
    return lambda x: request.infer([x])


def features_in(session):
    def setup(name):
        run = session(export(network(name), name, ["a", "b", "c"]))
        x = image().numpy()
        return lambda: run(x)

    return setup


class Cflow(torch.nn.Module):
    """An inspection of CFLOW's size: lite0, and per level a FrEIA decoder as anomalib builds it (eight blocks, condition
    of 128 channels, clamp 1.9, hidden layer of twice the input); levels upsampled and summed as probabilities."""

    def __init__(self):
        super().__init__()
        self.backbone = network("tf_efficientnet_lite0")
        with torch.no_grad():
            maps = self.backbone(image())
        self.flows = torch.nn.ModuleList(method.Flow(m.shape[1]) for m in maps)
        for i, m in enumerate(maps):
            code = method.position_code(m.shape[2], m.shape[3]).flatten(1).T.contiguous()
            self.register_buffer(f"code{i}", code)

    def forward(self, x):
        total = 0
        for i, (m, flow) in enumerate(zip(self.backbone(x), self.flows)):
            rows = m.flatten(2)[0].T
            logp = method.logp_per_channel(*flow(rows, getattr(self, f"code{i}")))
            p = (logp - logp.max()).exp().view(1, 1, m.shape[2], m.shape[3])
            total = total + torch.nn.functional.interpolate(p, size=(INPUT, INPUT), mode="bilinear", align_corners=True)
        anomaly = total.max() - total
        return anomaly, anomaly.max()


def inspect_in(session):
    def setup(folder):
        from PIL import Image

        method.seed_everything(0)
        run = session(export(Cflow().eval(), "cflow_lite0", ["map", "score"]))
        paths = sorted(pathlib.Path(folder).glob("*.png"))

        def step():
            for path in paths:
                with Image.open(path) as file:
                    rgb = file.convert("RGB").resize((INPUT, INPUT), Image.Resampling.BILINEAR)
                x = (np.asarray(rgb, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
                run(np.ascontiguousarray(x))

        return step

    return setup


def weights(name, file):
    from safetensors.torch import save_file

    model = network(name)
    for module in model.modules():
        # Random weights without a trained norm make activations shrink to denormal numbers, which are slow.
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(0.05)
    save_file({k: v.contiguous() for k, v in model.state_dict().items() if "num_batches" not in k}, file)
    export(model, name, ["a", "b", "c"])
    return lambda: None


CASES = {
    "flow-train": flow_train,
    "flow-eval": flow_eval,
    "features-torch": features_torch,
    "features-onnx": features_in(onnx_session),
    "features-openvino": features_in(openvino_session),
    "inspect-onnx": inspect_in(onnx_session),
    "inspect-openvino": inspect_in(openvino_session),
    "weights": weights,
}


def median_ns(step):
    """Median over as many runs as fit a short window."""
    times, start = [], time.perf_counter_ns()
    while not times or time.perf_counter_ns() - start < WINDOW_NS:
        before = time.perf_counter_ns()
        step()
        times.append(time.perf_counter_ns() - before)
    return int(statistics.median(times))


def main():
    torch.set_num_threads(options.threads)
    ready = {}
    # Exporters print; the answers have stdout to themselves.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            case, *arguments = line.split()
            if line not in ready:
                ready[line] = CASES[case](*arguments)
                ready[line]()
            answer = f"{median_ns(ready[line])} 0"
        except Exception as error:  # whatever a peer throws, the run goes on without it
            answer = "error " + " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    options = parser.parse_args()
    main()
