#!/usr/bin/env python3
"""Records the files that the Rust tests compare with (golden/*.safetensors). README.md says what each holds.

    record.py --out golden                                  everything
    record.py --out golden --only flow_c7,loss --seed 1     some of it
    record.py --check DIR                                   recomputes recordings made by others and prints the errors
"""

import argparse
import math
import pathlib
import re
import sys

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.metrics import average_precision_score, roc_auc_score

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import method
from metrics import aupro, f1_max, pro_in_steps

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "crates/bgad/weights"
LR = 2e-4
# A row is left out when a ReLU input, or its distance to a threshold of the loss, is smaller than this: there rounding
# decides on which side it falls, and one flip moves gradients by 1e-3.
EDGE = 2e-5
FLOW_CASES = {"plain": (0.05, False), "focal": (0.01, True)}


def versions(**more):
    return {"torch": torch.__version__, "timm": timm.__version__, "freia": "0.2"} | {k: str(v) for k, v in more.items()}


def scalar(value):
    return value.detach().reshape(1).clone()


# --- position -------------------------------------------------------------------------------------------------------


def record_position(h, w, options):
    return {"code_dhw": method.position_code(h, w)}, versions(d=method.CONDITION_CHANNELS)


# --- flow -----------------------------------------------------------------------------------------------------------


def random_flow(channels, blocks):
    """A flow away from its start, where scale is 1, offset 0 and the couplings nearly nothing."""
    flow = method.Flow(channels, blocks)
    with torch.no_grad():
        for name, p in flow.tensors().items():
            leaf = name.split(".")[1]
            if leaf == "gamma":
                p += 0.3 * torch.randn_like(p)
            elif leaf == "offset":
                p += 0.3 * torch.randn_like(p)
            elif leaf == "w2":
                p *= 4
    return flow


def distance_to_edge(flow, x, condition, mask):
    """Per row: how near the nearest ReLU input or loss threshold is."""
    nearest = torch.full((len(x),), math.inf)

    def note(_module, _inputs, relu_input):
        nearest.copy_(torch.minimum(nearest, relu_input.abs().min(1).values))

    hooks = [block.subnet[0].register_forward_hook(note) for block in flow.blocks]
    l = method.logp_per_channel(*flow(x, condition))
    for hook in hooks:
        hook.remove()
    hat = l / method.NORMALIZER
    for beta, _ in FLOW_CASES.values():
        b_n, b_a = method.boundary(hat[mask == 0], beta)
        for edge in (b_n, b_a, -0.2, -1.0):
            gap = (hat - edge).abs()
            # The boundary element itself stays: it is on the edge by definition, and equal on every machine.
            nearest = torch.minimum(nearest, torch.where(gap == 0, math.inf, gap))
    return nearest


def flow_losses(flow, x, condition, mask):
    """Outputs, three losses with all gradients, and ten Adam steps. The flow is left as it was found."""
    out = {}
    for case in ["ml", *FLOW_CASES]:
        flow.zero_grad()
        z, log_det = flow(x, condition)
        l = method.logp_per_channel(z, log_det)
        l.retain_grad()
        if case == "ml":
            loss = method.ml_loss(l)  # phase 1: every position is a normal one
            out["ml.loss"] = scalar(loss)
        else:
            parts = method.bgad_loss(l, mask, *FLOW_CASES[case])
            loss = parts.loss
            out |= {f"{case}.{k}": scalar(getattr(parts, k)) for k in ["loss", "ml", "pull", "push", "b_n", "b_a"]}
        loss.backward()
        out[f"{case}.dlogp"] = l.grad.clone()
        for name, p in flow.tensors().items():
            if p.requires_grad:
                out[f"{case}.grad.{name}"] = p.grad.reshape(shape_of(name, p)).clone()
    out |= {"z": z.detach(), "log_det": log_det.detach(), "logp_per_channel": l.detach()}

    start = {name: p.detach().clone() for name, p in flow.tensors().items()}
    optimizer, losses = method.adam(flow.trained(), LR), []
    for _ in range(10):
        loss = method.bgad_loss(method.logp_per_channel(*flow(x, condition)), mask, *FLOW_CASES["plain"]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        for name, p in flow.tensors().items():
            p.copy_(start[name])
    return out | {"adam10.losses": torch.tensor(losses)}


def shape_of(name, p):
    """FrEIA keeps gamma and offset as [1, c]; the recordings as [c]."""
    return p.shape[1:] if name.endswith(("gamma", "offset")) else p.shape


def record_flow(channels, options):
    side, n = {7: (8, 64), 24: (16, 256), 40: (32, 256)}.get(channels, (16, 256))
    flow = random_flow(channels, options.blocks)
    index = torch.randint(side * side, (n,))
    mask = (torch.rand(n) < 0.15).float()
    x = torch.randn(n, channels) * (1 + mask[:, None]) + 0.5 * mask[:, None]
    codes = method.position_code(side, side).flatten(1).T
    with torch.no_grad():
        while True:
            keep = distance_to_edge(flow, x, codes[index], mask) > EDGE
            if keep.all():
                break
            x, mask, index = x[keep], mask[keep], index[keep]
    out = {name: p.detach().reshape(shape_of(name, p)).clone() for name, p in flow.tensors().items()}
    out |= {"x": x, "mask": mask, "position_index": index.int()}
    out |= flow_losses(flow, x, codes[index], mask)
    return out, versions(c=channels, side=side, n=len(x), blocks=options.blocks, lr=LR, seed=options.seed)


# --- loss -----------------------------------------------------------------------------------------------------------


def loss_cases():
    """Name -> (l, mask)."""
    split = lambda normals, anomalies: torch.cat([torch.zeros(normals), torch.ones(anomalies)])
    mixed_mask = (torch.rand(499) < 0.2).float()
    return {
        "mixed": (torch.randn(499) * 4 - 8 + 2 * mixed_mask, mixed_mask),
        "no_push": (torch.cat([torch.randn(200) - 2, torch.full((20,), -90.0)]), split(200, 20)),
        "one_anomaly": (torch.randn(50) - 5, split(49, 1)),
        "ties": (torch.cat([torch.full((40,), -3.0), torch.full((10,), -9.0)]), split(40, 10)),
        "all_normal": (torch.randn(64) * 3 - 5, torch.zeros(64)),
    }


def loss_of(l, mask, prefix):
    out = {}
    for focal in (0, 1):
        for beta in (0.01, 0.05, 0.2):
            leaf = l.clone().requires_grad_()
            parts = method.bgad_loss(leaf, mask, beta, bool(focal))
            parts.loss.backward()
            key = f"{prefix}.focal{focal}.beta{beta}"
            out[f"{key}.dlogp"] = leaf.grad
            out |= {f"{key}.{k}": scalar(v) for k, v in vars(parts).items() if v is not None}
    return out


def record_loss(options):
    out = {}
    for name, (l, mask) in loss_cases().items():
        out |= {f"{name}.logp": l, f"{name}.mask": mask} | loss_of(l, mask, name)
    l = torch.linspace(-40, -0.05, 400)
    out |= {"weights.logp": l, "weights.normal": method.focal_normal(l), "weights.abnormal": method.focal_abnormal(l)}
    return out, versions(seed=options.seed)


# --- score ----------------------------------------------------------------------------------------------------------


def authors_map(levels, side):
    """max(S) - S with every constant taken from the images at hand; `levels`: [images, h, w] each."""
    total = 0
    for l in levels:
        p = (l - l.max()).exp()[:, None]
        total = total + F.interpolate(p, size=(side, side), mode="bilinear", align_corners=True)[:, 0]
    return total.max() - total


def score_metrics(maps, masks):
    labels, scores = masks.any((1, 2)).astype(int), maps.max((1, 2))
    pixels, pixel_scores = masks.ravel(), maps.ravel()
    exact, exact_05 = aupro(maps, masks)
    return {
        "image_auroc": roc_auc_score(labels, scores),
        "image_ap": average_precision_score(labels, scores),
        "pixel_auroc": roc_auc_score(pixels, pixel_scores),
        "pixel_ap": average_precision_score(pixels, pixel_scores),
        "aupro": exact,
        "aupro_05": exact_05,
        "pro_authors_1000_steps": pro_in_steps(maps, masks),
        "f1_image_threshold": f1_max(labels, scores)[1],
        "f1_pixel_threshold": f1_max(pixels, pixel_scores)[1],
    }


def record_score(options):
    images, side = 12, options.score_side
    masks = torch.zeros(images, side, side)
    for i in range(0, images, 2):  # every other image has one or two rectangles
        for _ in range(1 + i % 4 // 2):
            h, w = torch.randint(side // 16, side // 4, (2,)).tolist()
            y, x = torch.randint(side - h, (1,)).item(), torch.randint(side - w, (1,)).item()
            masks[i, y : y + h, x : x + w] = 1
    levels = []
    for stride in (4, 8, 16):
        s = side // stride
        defect = F.adaptive_avg_pool2d(masks[:, None], s)[:, 0]
        image_offset = 0.3 * torch.randn(images, 1, 1)
        levels.append(-3 + 1.5 * torch.randn(images, s, s) - 2.5 * defect + image_offset)
    maps = authors_map(levels, side)
    out = {f"logp_level{k}": l for k, l in enumerate(levels)}
    out |= {"anomaly_map": maps, "image_score": maps.flatten(1).max(1).values, "mask": masks.to(torch.uint8)}
    return out, versions(**score_metrics(maps.numpy(), masks.numpy().astype(np.uint8)), seed=options.seed)


# --- backbone -------------------------------------------------------------------------------------------------------


def feature_maps(model, image):
    with torch.no_grad():
        return {f"level{k + 1}_chw": m[0] for k, m in enumerate(model(image[None]))}


def feature_model(name):
    return timm.create_model(name, features_only=True, out_indices=(1, 2, 3), pretrained=False).eval()


def picture(side):
    """[side, side, 3] u8: soft waves, a hard-edged rectangle and noise, in colour."""
    at = torch.arange(side, dtype=torch.float32) / side
    waves = [torch.sin(6.28 * (f * at[:, None] + g * at[None, :])) for f, g in [(2, 1), (1, 3), (5, 4)]]
    rgb = 127 + 70 * torch.stack(waves, -1) + 12 * torch.randn(side, side, 3)
    rgb[side // 3 : side // 2, side // 5 : side // 2] = torch.tensor([230.0, 40.0, 90.0])
    return rgb.clamp(0, 255).to(torch.uint8)


def record_backbone_lite(size, options):
    name = f"tf_efficientnet_{size}"
    model = feature_model(name)
    model.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"), strict=False)
    rgb = picture(options.backbone_side)
    image = ((rgb.float() / 255 - 0.5) / 0.5).permute(2, 0, 1).contiguous()
    out = {"rgb_u8": rgb, "input_chw": image} | feature_maps(model, image)
    return out, versions(weights=f"crates/bgad/weights/{name}.safetensors", mean=0.5, std=0.5, seed=options.seed)


def record_backbone_b0_random(options):
    model = feature_model("tf_efficientnet_b0")
    with torch.no_grad():
        for name, p in model.state_dict().items():
            if name.endswith("running_var") or (re.search(r"bn\d\.weight$", name)):
                p.uniform_(0.5, 1.5)
            elif name.endswith("running_mean") or re.search(r"bn\d\.bias$", name):
                p.normal_(0, 0.1)
    image = torch.randn(3, options.backbone_side, options.backbone_side)
    # What lies behind level 3 cannot change the maps.
    kept = re.compile(r"conv_stem|bn1|blocks\.[0-4]\.")
    out = {f"w.{k}": v.contiguous() for k, v in model.state_dict().items() if kept.match(k) and v.is_floating_point()}
    out |= {"input_chw": image} | feature_maps(model, image)
    return out, versions(weights="random; names are timm's under w.", seed=options.seed)


def made(name, shape):
    """Values in [-1, 1) from a tensor's name alone, so a recording needs no weights: the Rust tests make the same."""
    state = 2166136261
    for byte in name.encode():
        state = (state ^ byte) * 16777619 % 2**32
    x = np.uint32(state) ^ (np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(2654435761))
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)) / 8388608 - 1).reshape(shape)


NORM = {"weight": (0.6, 0.2), "bias": (0.2, 0.5), "running_mean": (0.0, 0.2), "running_var": (1.0, 0.5)}


def made_weights(model):
    """Every tensor of a ResNet, made from its name."""
    weights = {}
    for name, p in model.state_dict().items():
        if p.dim() == 4:
            middle, half = 0.0, math.sqrt(6 / (p.shape[1] * p.shape[2] * p.shape[3]))
        elif p.is_floating_point():
            middle, half = NORM[name.rsplit(".", 1)[1]]
        else:
            continue
        weights[name] = torch.from_numpy((middle + half * made(name, tuple(p.shape))).astype(np.float32))
    return weights


# Not multiples of a tile of the Rust kernels on any level.
RESNET_INPUT = (3, 56, 72)


def resnet_model(name):
    model = feature_model(name)
    model.load_state_dict(made_weights(model), strict=False)
    return model


def record_backbone_resnet(name, _options):
    image = torch.from_numpy(2 * made("image", RESNET_INPUT)).float()
    out = {"input_chw": image} | feature_maps(resnet_model(name), image)
    return out, versions(network=name, weights="made from the names of the tensors")


# --- checking others' recordings ------------------------------------------------------------------------------------


def relative(a, b):
    """Relative L2 error; the absolute one where b is 0."""
    a, b = a.detach().double().flatten(), b.double().flatten()
    return ((a - b).norm() / (b.norm() if b.norm() > 0 else 1)).item()


def check_flow(g, metadata):
    side = int(metadata["side"])
    flow = method.Flow(g["x"].shape[1], sum(name.endswith(".gamma") and name.startswith("block") for name in g))
    with torch.no_grad():
        for name, p in flow.tensors().items():
            p.copy_(g[name].view_as(p))
    condition = method.position_code(side, side).flatten(1).T[g["position_index"].long()]
    out = flow_losses(flow, g["x"], condition, g["mask"])
    groups = {}
    for name in out:
        group = re.sub(r"\.grad\..*", ".grad (worst)", name)
        groups[group] = max(groups.get(group, 0), relative(out[name], g[name]))
    return groups


def check_loss(g, _metadata):
    errors = {}
    for name in sorted({k.split(".")[0] for k in g} - {"weights"}):
        out = loss_of(g[f"{name}.logp"], g[f"{name}.mask"], name)
        errors[name] = max(relative(out[k], g[k]) for k in out)
    for kind, f in [("normal", method.focal_normal), ("abnormal", method.focal_abnormal)]:
        errors[f"weights.{kind}"] = relative(f(g["weights.logp"]), g[f"weights.{kind}"])
    return errors


def check_score(g, metadata):
    maps = authors_map([g[f"logp_level{k}"] for k in range(3)], g["anomaly_map"].shape[1])
    errors = {"anomaly_map": relative(maps, g["anomaly_map"])}
    found = score_metrics(maps.numpy(), g["mask"].numpy())
    return errors | {k: abs(v - float(metadata[k])) for k, v in found.items() if k in metadata}


def check_backbone(g, metadata):
    if any(k.startswith("w.") for k in g):
        model = feature_model("tf_efficientnet_b0")
        weights = {k[2:]: v for k, v in g.items() if k.startswith("w.")}
    elif "network" in metadata:
        model = resnet_model(metadata["network"])
        return {k: relative(v, g[k]) for k, v in feature_maps(model, g["input_chw"]).items()}
    else:
        name = "tf_efficientnet_" + re.search(r"lite\d", metadata["weights"])[0]
        model, weights = feature_model(name), load_file(WEIGHTS / f"{name}.safetensors")
    model.load_state_dict(weights, strict=False)
    return {k: relative(v, g[k]) for k, v in feature_maps(model, g["input_chw"]).items()}


def check_position(g, _metadata):
    _, h, w = g["code_dhw"].shape
    return {"code_dhw": relative(method.position_code(h, w), g["code_dhw"])}


CHECKS = {
    "position": check_position, "flow": check_flow, "loss": check_loss, "score": check_score, "backbone": check_backbone
}


def check(folder):
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        errors = CHECKS[path.stem.split("_")[0]](load_file(path), metadata)
        print(path.name, " ".join(f"{k} {v:.1e}" for k, v in errors.items()))


# --- command line ---------------------------------------------------------------------------------------------------


def recorder(name):
    if m := re.fullmatch(r"position_(\d+)x(\d+)", name):
        return lambda o: record_position(int(m[1]), int(m[2]), o)
    if m := re.fullmatch(r"flow_c(\d+)", name):
        return lambda o: record_flow(int(m[1]), o)
    if m := re.fullmatch(r"backbone_(lite\d)", name):
        return lambda o: record_backbone_lite(m[1], o)
    if m := re.fullmatch(r"backbone_((wide_)?resnet\d+(_2)?)", name):
        return lambda o: record_backbone_resnet(m[1], o)
    return {"loss": record_loss, "score": record_score, "backbone_b0_random": record_backbone_b0_random}.get(name)


DEFAULT = "position_7x12,position_16x16,flow_c7,flow_c24,loss,score,backbone_lite0,backbone_lite2,backbone_b0_random"
DEFAULT += ",backbone_resnet18,backbone_wide_resnet50_2"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="folder to write to")
    parser.add_argument("--only", default=DEFAULT, help=f"names, comma-separated; default {DEFAULT}")
    parser.add_argument("--seed", type=int, default=20230407)
    parser.add_argument("--blocks", type=int, default=method.BLOCKS, help="coupling blocks of the flow recordings")
    parser.add_argument("--backbone-side", type=int, default=128, help="input side of the backbone recordings")
    parser.add_argument("--score-side", type=int, default=128, help="map side of the score recording")
    parser.add_argument("--check", type=pathlib.Path, help="recompute the recordings in this folder instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.check:
        return check(options.check)
    if not options.out:
        parser.error("--out or --check is needed")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only.split(","):
        if not (record := recorder(name)):
            parser.error(f"there is no recording called `{name}`")
        method.seed_everything(options.seed)
        tensors, metadata = record(options)
        path = options.out / f"{name}.safetensors"
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path, metadata)
        print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
