#!/usr/bin/env python3
"""An independent rendering of the whole method in PyTorch: what `bgad train` and `bgad evaluate` are compared with.

    bgad_torch.py DATA --split split.json --schedule 5x2 --seed 0 --threads 1 --out result.json
    bgad_torch.py DATA --write-split split.json --limit-normal 200 --anomalies 10 --seed 0

Backbone by timm with the embedded weights, flow by FrEIA 0.2, metrics by numpy and scikit-learn. Anomalies are repeated
(strategy 0) and nothing is augmented, so the features of every image are computed once. `--steps authors` cuts N = 4096
positions at every level; `--steps equal` scales N with the level's positions. With `--device cuda` every step is a
replayed CUDA graph, in the same precision: the authors' schedule, 25x8, in minutes. `--factored` is its counterpart
for a CPU: the same steps with fewer operations (factored.py). The JSON has the fields of `bgad evaluate --json`.
"""

import argparse
import json
import math
import pathlib
import random
import sys
import time

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score, roc_auc_score

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import method
from factored import FactoredFlow
from metrics import aupro, f1_max

INPUT = 256
STEP = 4096
BATCH_IMAGES = 32
REPEATS = 5
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "crates/bgad/weights"


# --- data ---------------------------------------------------------------------------------------------------------


def images_in(folder):
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)


def draw_split(data, seed, limit_normal, anomalies):
    """Normals: a random subset. Anomalies: round robin over the sorted types, a random unused image of each in turn."""
    rng = random.Random(seed)
    train = images_in(data / "train" / "good")
    if limit_normal and limit_normal < len(train):
        train = sorted(rng.sample(train, limit_normal))
    types = {d.name: images_in(d) for d in sorted((data / "test").iterdir()) if d.is_dir() and d.name != "good"}
    left = {name: rng.sample(paths, len(paths)) for name, paths in types.items()}
    taken = []
    while len(taken) < anomalies and any(left.values()):
        for name in types:
            if left[name] and len(taken) < anomalies:
                taken.append(left[name].pop())
    relative = lambda paths: [p.relative_to(data).as_posix() for p in paths]
    return {
        "train": relative(train),
        "anomalies": relative(sorted(taken)),
        "test_good": relative(images_in(data / "test" / "good")),
        "test_bad": relative(sorted(p for paths in types.values() for p in paths if p not in set(taken))),
    }


def load_image(path):
    """[3, 256, 256] in the scaling of the lite models."""
    with Image.open(path) as image:
        rgb = np.asarray(image.convert("RGB").resize((INPUT, INPUT), Image.Resampling.LANCZOS), dtype=np.float32)
    return torch.from_numpy((rgb / 255 - 0.5) / 0.5).permute(2, 0, 1)


def mask_path(path):
    """.../test/TYPE/NAME.ext -> .../ground_truth/TYPE/NAME_mask.png"""
    return path.parents[2] / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"


def load_mask(path):
    """[256, 256] of 0 and 1."""
    with Image.open(mask_path(path)) as image:
        return (np.asarray(image.convert("L").resize((INPUT, INPUT), Image.Resampling.NEAREST)) > 0).astype(np.uint8)


# --- model --------------------------------------------------------------------------------------------------------


class Detector:
    def __init__(self, backbone, device="cpu"):
        self.device = torch.device(device)
        self.backbone = timm.create_model(backbone, features_only=True, out_indices=(1, 2, 3), pretrained=False).eval()
        self.backbone.load_state_dict(load_file(WEIGHTS / f"{backbone}.safetensors"), strict=False)
        self.backbone.to(self.device)
        maps = self.encode_maps(torch.zeros(3, INPUT, INPUT))
        self.sides = [m.shape[1] for m in maps]
        self.flows = [method.Flow(m.shape[0]).to(self.device) for m in maps]
        self.codes = [method.position_code(s, s).flatten(1).T.contiguous().to(self.device) for s in self.sides]
        self.constants = None

    @torch.no_grad()
    def encode_maps(self, image):
        return [m[0] for m in self.backbone(image[None].to(self.device))]

    def encode(self, image):
        """Per level [positions, c]."""
        return [m.flatten(1).T.contiguous() for m in self.encode_maps(image)]

    @torch.no_grad()
    def logp(self, features):
        """Per level [positions]: l of one image."""
        return [method.logp_per_channel(*f(x, c)) for f, x, c in zip(self.flows, features, self.codes)]

    def freeze_constants(self, logps):
        """M per level: the largest l over the given images."""
        self.constants = [max(l[k].max().item() for l in logps) for k in range(len(self.flows))]

    def anomaly_map(self, logp):
        """-ln of the mean probability over levels, in nats, [256, 256]."""
        shifted = [l.double() - m for l, m in zip(logp, self.constants)]
        top = max(s.max() for s in shifted)
        total = 0
        for s, side in zip(shifted, self.sides):
            p = (s - top).exp().view(1, 1, side, side)
            total = total + F.interpolate(p, size=(INPUT, INPUT), mode="bilinear", align_corners=True)[0, 0]
        mean = (total / len(shifted)).clamp_min(torch.finfo(torch.float64).tiny)
        return -(mean.log() + top).cpu().numpy()


def learning_rate(lr, meta, meta_epochs, within):
    """Cosine per meta-epoch down to lr / 1000; linear from lr / 10 over the first two. `within` is 0..1 of this one."""
    low = lr * 1e-3
    cosine = lambda e: low + (lr - low) * (1 + math.cos(math.pi * e / meta_epochs)) / 2
    warm = 2
    if meta < warm:
        return lr / 10 + (cosine(warm) - lr / 10) * (meta + within) / warm
    return cosine(meta)


class EagerStep:
    """Steps of one level, operation by operation."""

    def __init__(self, flow, code, positions, options):
        self.code, self.positions, self.options = code, positions, options
        factored = FactoredFlow(flow, math.isqrt(len(code))) if options.factored else None
        self.transform = factored or (lambda x, position: flow(x, code[position]))
        self.optimizer = method.adam(flow.trained(), options.lr)
        self.sums = np.zeros(4)

    def batch(self, x, mask, rng, lr, contrastive):
        """x [rows, c], mask [rows] of whole images, shuffled and cut. The number of steps."""
        self.optimizer.param_groups[0]["lr"] = lr
        shuffled = torch.from_numpy(rng.permutation(len(x)))
        steps = 0
        for at in range(0, len(x) - self.positions + 1, self.positions):
            rows = shuffled[at : at + self.positions]
            l = method.logp_per_channel(*self.transform(x[rows], rows % len(self.code)))
            if contrastive:
                loss = method.bgad_loss(l, mask[rows], self.options.beta, self.options.focal)
            else:
                loss = method.Loss(*[method.ml_loss(l)] * 2)
            self.optimizer.zero_grad()
            loss.loss.backward()
            self.optimizer.step()
            self.sums += [0.0 if p is None else p.item() for p in (loss.loss, loss.ml, loss.pull, loss.push)]
            steps += 1
        return steps

    def take_sums(self):
        """Of loss, ml, pull and push over the steps since the last time."""
        sums, self.sums = self.sums, np.zeros(4)
        return sums


def masked_loss(l, mask, beta, focal):
    """`method.bgad_loss` without a size that depends on the data, as a graph needs it: loss, ml, pull, push."""
    normal, abnormal = mask == 0, mask > 0
    ones, zeros = torch.ones_like(l), torch.zeros_like(l)
    w_n, w_a = (method.focal_normal(l), method.focal_abnormal(l)) if focal else (ones, ones)
    mean = lambda where, value: torch.where(where, value, zeros).sum() / where.sum().clamp_min(1)
    ml = mean(normal, w_n * -F.logsigmoid(l))
    hat = l / method.NORMALIZER
    ordered = torch.where(normal, hat.detach(), ones * math.inf).sort().values
    b_n = ordered.gather(0, (normal.sum().float() * beta).long()[None])
    some = abnormal.any()
    pull = mean(normal & (hat <= b_n) & some, w_n * (b_n - hat))
    b_a = b_n - method.TAU
    push = mean(abnormal & (hat >= b_a), w_a * (hat - b_a))
    return torch.stack([ml + pull + push, ml, pull, push])


class GraphStep:
    """Steps of one level as CUDA graphs on a stream of their own."""

    def __init__(self, flow, code, positions, options):
        self.flow, self.code, self.positions, self.options = flow, code, positions, options
        device, rows = code.device, BATCH_IMAGES * len(code)
        self.lr = torch.zeros((), device=device)
        self.optimizer = method.adam(flow.trained(), self.lr, capturable=True)
        self.x = torch.randn(rows, flow.channels, device=device)
        self.condition, self.mask = torch.zeros(rows, code.shape[1], device=device), torch.zeros(rows, device=device)
        self.next, self.sums = torch.zeros((), dtype=torch.long, device=device), torch.zeros(4, device=device)
        self.range = torch.arange(positions, device=device)
        self.likelihood_alone = torch.tensor([1.0, 1.0, 0.0, 0.0], device=device)
        self.random = torch.Generator(device=device).manual_seed(options.seed)
        self.stream = torch.cuda.Stream(device)
        self.stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self.stream):
            for contrastive in [False, True] * 2:  # at a rate of 0, so that only Adam's state is there
                self.next.zero_()
                self.step(contrastive)
            for state in self.optimizer.state.values():
                for tensor in state.values():
                    tensor.zero_()
        self.graphs = {}
        for contrastive in [False, True]:
            self.optimizer.zero_grad(set_to_none=True)
            self.graphs[contrastive] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graphs[contrastive], stream=self.stream):
                self.step(contrastive)
        self.sums.zero_()

    def step(self, contrastive):
        rows = self.next + self.range
        l = method.logp_per_channel(*self.flow(self.x[rows], self.condition[rows]))
        if contrastive:
            parts = masked_loss(l, self.mask[rows], self.options.beta, self.options.focal)
        else:
            parts = method.ml_loss(l) * self.likelihood_alone
        self.optimizer.zero_grad(set_to_none=True)
        parts[0].backward()
        self.optimizer.step()
        self.sums += parts.detach()
        self.next += self.positions

    def batch(self, x, mask, rng, lr, contrastive):
        """As `EagerStep.batch`, but shuffled by the device's own generator, and returns before the device is done."""
        self.stream.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(self.stream):
            shuffled = torch.randperm(len(x), device=x.device, generator=self.random)
            self.x[: len(x)] = x[shuffled]
            self.mask[: len(x)] = mask[shuffled]
            self.condition[: len(x)] = self.code[shuffled % len(self.code)]
            for tensor in (x, mask):
                tensor.record_stream(self.stream)
            self.lr.fill_(lr)
            self.next.zero_()
            for _ in range(len(x) // self.positions):
                self.graphs[contrastive].replay()
        return len(x) // self.positions

    def take_sums(self):
        self.stream.synchronize()
        sums = self.sums.cpu().numpy().astype(np.float64)
        self.sums.zero_()
        return sums


def train(detector, normals, anomalies, options, report):
    """`normals`: features of images; `anomalies`: (features, per-level masks)."""
    for _ in training(detector, normals, anomalies, options, report):
        pass


def training(detector, normals, anomalies, options, report):
    """As `train`, yields after every batch: several can share a device."""
    meta_epochs, sub_epochs = options.schedule
    coarsest_ratio = [detector.sides[0] ** 2 // s**2 for s in detector.sides]
    steps_of = [STEP // r if options.steps == "equal" else STEP for r in coarsest_ratio]
    kind = GraphStep if detector.device.type == "cuda" else EagerStep
    steps = [kind(f, c, n, options) for f, c, n in zip(detector.flows, detector.codes, steps_of)]
    rng = np.random.default_rng(options.seed)
    nothing = [torch.zeros(len(c), device=detector.device) for c in detector.codes]

    for meta in range(meta_epochs):
        contrastive = meta > 0
        pool = [(f, nothing) for f in normals] + (anomalies * REPEATS if contrastive else [])
        counts = np.zeros(3)
        for sub in range(sub_epochs):
            order = rng.permutation(len(pool))
            batches = [order[i : i + BATCH_IMAGES] for i in range(0, len(order), BATCH_IMAGES)]
            for b, batch in enumerate(batches):
                lr = learning_rate(options.lr, meta, meta_epochs, (sub + b / len(batches)) / sub_epochs)
                for k, step in enumerate(steps):
                    x = torch.cat([pool[i][0][k] for i in batch])
                    mask = torch.cat([pool[i][1][k] for i in batch])
                    counts[k] += step.batch(x, mask, rng, lr, contrastive)
                yield
        sums = np.stack([step.take_sums() for step in steps])
        mean = sums / np.maximum(counts, 1)[:, None]
        report(f"meta-epoch {meta + 1}/{meta_epochs} steps {counts.astype(int).tolist()} loss, ml, pull, push per level "
               f"{np.round(mean, 4).tolist()}")


# --- evaluation ----------------------------------------------------------------------------------------------------


def evaluate(detector, good, bad, options):
    start = time.perf_counter()
    logps = [detector.logp(detector.encode(load_image(p))) for p in good + bad]
    if options.scoring == "authors":
        detector.freeze_constants(logps)
    maps = [detector.anomaly_map(l).astype(np.float32) for l in logps]
    secs = (time.perf_counter() - start) / len(maps)
    return figures(maps, good, bad) | {"secs_per_image": secs}


def figures(maps, good, bad):
    """Of the anomaly maps of good and bad images."""
    masks = [np.zeros((INPUT, INPUT), np.uint8)] * len(good) + [load_mask(p) for p in bad]
    labels, scores = np.array([0] * len(good) + [1] * len(bad)), np.array([m.max() for m in maps])
    pixel_labels, pixel_scores = np.stack(masks).ravel(), np.stack(maps).ravel()
    pro, pro_05 = aupro(maps, masks)
    types = sorted({p.parent.name for p in bad})
    of_type = lambda t: np.array([True] * len(good) + [p.parent.name == t for p in bad])
    return {
        "image_auroc": float(roc_auc_score(labels, scores)),
        "pixel_auroc": float(roc_auc_score(pixel_labels, pixel_scores)),
        "aupro": pro,
        "aupro_05": pro_05,
        "image_ap": float(average_precision_score(labels, scores)),
        "pixel_ap": float(average_precision_score(pixel_labels, pixel_scores)),
        "image_f1_max": f1_max(labels, scores)[0],
        "pixel_f1_max": f1_max(pixel_labels, pixel_scores)[0],
        "by_type": {t: float(roc_auc_score(labels[of_type(t)], scores[of_type(t)])) for t in types},
        "counts": {"test_good": len(good), "test_bad": len(bad)},
    }


# --- command line -------------------------------------------------------------------------------------------------


def schedule(text):
    meta, sub = map(int, text.split("x"))
    if meta < 1 or sub < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not AxB with A and B at least 1")
    return meta, sub


def level_masks(mask, sides):
    """The mask on each level's grid (nearest: the pixel at the upper left of a cell)."""
    return [torch.from_numpy(mask[:: INPUT // s, :: INPUT // s].astype(np.float32)).flatten() for s in sides]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--split", type=pathlib.Path, help="split.json; drawn from --seed when absent")
    parser.add_argument("--write-split", type=pathlib.Path, help="draw a split, write it here and stop")
    parser.add_argument("--limit-normal", type=int, default=0, help="at most so many training normals (0: all)")
    parser.add_argument("--anomalies", type=int, default=10)
    parser.add_argument("--schedule", type=schedule, default=(25, 8))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: every step a CUDA graph")
    parser.add_argument("--factored", action="store_true", help="the same steps in about half the time (CPU)")
    parser.add_argument("--backbone", default="tf_efficientnet_lite2")
    parser.add_argument("--steps", choices=["authors", "equal"], default="authors")
    parser.add_argument("--equal-steps", dest="steps", action="store_const", const="equal")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--focal", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--scoring", choices=["frozen", "authors"], default="frozen")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    report = lambda text: print(text, file=sys.stderr, flush=True)
    if options.factored and options.device != "cpu":
        parser.error("--factored is for the CPU; with --device cuda leave it out")

    if options.split:
        split = json.loads(options.split.read_text())
    else:
        split = draw_split(options.data, options.seed, options.limit_normal, options.anomalies)
    if options.write_split:
        options.write_split.write_text(json.dumps(split, indent=1) + "\n")
        return
    paths = {part: [options.data / name for name in names] for part, names in split.items()}

    torch.set_num_threads(options.threads)
    method.seed_everything(options.seed)
    torch.backends.cudnn.allow_tf32 = False  # as on a CPU
    detector = Detector(options.backbone, options.device)
    start = time.perf_counter()
    normals = [detector.encode(load_image(p)) for p in paths["train"]]
    masks = lambda p: [mask.to(detector.device) for mask in level_masks(load_mask(p), detector.sides)]
    anomalies = [(detector.encode(load_image(p)), masks(p)) for p in paths["anomalies"]]
    report(f"{len(normals)} normals, {len(anomalies)} anomalies encoded in {time.perf_counter() - start:.0f} s")
    train(detector, normals, anomalies, options, report)
    detector.freeze_constants([detector.logp(f) for f in normals])
    train_secs = time.perf_counter() - start
    report(f"trained in {train_secs:.0f} s, constants {detector.constants}")

    result = evaluate(detector, paths["test_good"], paths["test_bad"], options)
    result["counts"] |= {"train": len(normals), "anomalies": len(anomalies)}
    result |= {
        "train_secs": train_secs,
        "options": {
            "engine": f"torch {torch.__version__}, timm {timm.__version__}, FrEIA 0.2",
            "schedule": "{}x{}".format(*options.schedule),
            **{k: getattr(options, k) for k in ["seed", "threads", "device", "factored", "backbone", "steps", "lr", "beta", "focal", "scoring"]},
        },
    }
    text = json.dumps(result, indent=1) + "\n"
    if options.out:
        options.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
