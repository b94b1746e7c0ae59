"""Loads Fovea's model files into the same network written with PyTorch and compares the logits.

  cargo run -p fovea-unet --example export_for_pytorch -- /tmp/export
  python crates/unet/examples/load_with_pytorch.py /tmp/export      # needs torch and safetensors

Prints the largest difference of each model and exits with 1 where one is above 1e-4.
`load(path)` is all that is needed to use a trained model: it returns the module and the model card.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


class UNet(nn.Module):
    """The network of crates/unet/src/network.rs; submodules carry the names of its parameter table."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        widths = config["widths"]
        self.encoder = nn.ModuleList(
            self.block(a, b) for a, b in zip([config["in_channels"]] + widths[:-1], widths)
        )
        self.decoder = nn.ModuleList()
        for width, coarse in zip(widths[:-1], widths[1:]):
            transpose = config["upsampling"]["kind"] == "transpose"
            block = self.block(width + (width if transpose else coarse), width)
            if transpose:
                block["up"] = nn.ConvTranspose2d(coarse, width, 2, stride=2)
            self.decoder.append(block)
        self.head = nn.Conv2d(widths[0], config["out_channels"], 1)

    def block(self, channels, width):
        layers = nn.ModuleDict()
        norm, kernel = self.config["norm"], self.config["kernel"]
        for i in range(1, self.config["convs_per_level"] + 1):
            bias = norm["kind"] == "none"
            layers[f"conv{i}"] = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=bias)
            if norm["kind"] == "group":
                layers[f"norm{i}"] = nn.GroupNorm(norm["groups"], width)
            if norm["kind"] == "batch":
                layers[f"norm{i}"] = nn.BatchNorm2d(width)
            channels = width
        return layers

    def run(self, layers, x):
        kind, slope = self.config["activation"]["kind"], self.config["activation"].get("slope")
        for i in range(1, self.config["convs_per_level"] + 1):
            x = layers[f"conv{i}"](x)
            x = layers[f"norm{i}"](x) if f"norm{i}" in layers else x
            x = {"relu": F.relu, "silu": F.silu, "leaky_relu": lambda v: F.leaky_relu(v, slope)}[kind](x)
        return x

    def enlarge(self, layers, x):
        up = self.config["upsampling"]
        if up["kind"] == "transpose":
            return layers["up"](x)
        if up["kind"] == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=up["align_corners"])

    def forward(self, x):
        skips = []
        for level, layers in enumerate(self.encoder):
            x = self.run(layers, F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for level in range(len(self.decoder) - 1, -1, -1):
            layers = self.decoder[level]
            x = self.run(layers, torch.cat([self.enlarge(layers, x), skips[level]], 1))
        return self.head(x)


def load(path):
    """The module of a model file, in inference mode, and the model card."""
    with safe_open(path, "pt") as file:
        card = json.loads(file.metadata()["fovea"])["description"]["card"]
    state = {}
    for name, tensor in load_file(path).items():
        if name.endswith(".running"):
            state[name.replace(".running", ".running_mean")] = tensor[0, :, 0]
            state[name.replace(".running", ".running_var")] = tensor[0, :, 1]
        else:
            state[name] = tensor
    module = UNet(card["model"])
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected and all(n.endswith("num_batches_tracked") for n in missing), (missing, unexpected)
    return module.eval(), card


def main():
    folder, worst = Path(sys.argv[1]), 0.0
    for expected in sorted(folder.glob("*.expected.safetensors")):
        module, _ = load(expected.with_name(expected.name.replace(".expected", "")))
        values = load_file(expected)
        with torch.inference_mode():
            difference = (module(values["image"]) - values["logits"]).abs().max().item()
        print(f"{expected.name}: largest logit {values['logits'].abs().max():.3f}, difference {difference:.2e}")
        worst = max(worst, difference)
    sys.exit(worst > 1e-4)


if __name__ == "__main__":
    main()
