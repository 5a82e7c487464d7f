"""Writes what torch exports for layers that ONNX has no operator for in older opsets: small models for
tests/test_cli_spelt.c, NAME_OPSET.onnx beside this file.

usage: /usr/bin/python3 tests/models/spelt/export.py

Needs Debian's python3-torch (1.13) and python3-onnx.  Weights are random, with a fixed seed.
"""
import os
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
EXTENTS = {0: 'N', 2: 'H', 3: 'W'}


class Function(nn.Module):
    """A function of x and of random parameters with these shapes."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.parameter = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])

    def forward(self, x):
        return self.function(x, *self.parameter)


def randomized(layer):
    for parameter in layer.parameters():
        parameter.data = torch.randn_like(parameter)
    return layer


def group_norm(x, gamma, beta):
    batch, channels, height, width = x.shape
    y = x.view(batch, 2, -1)
    d = y - y.mean(-1, keepdim=True)
    y = d / torch.sqrt((d * d).mean(-1, keepdim=True) + 1e-5)
    return y.view(batch, channels, height, width) * gamma + beta


def instance_norm(x, gamma, beta):
    d = x - x.mean((2, 3), keepdim=True)
    return d * torch.rsqrt(d.pow(2).mean((2, 3), keepdim=True) + 1e-5) * gamma + beta


def filter_response_norm(x, gamma, beta, tau):
    nu = x.pow(2).mean(dim=[2, 3], keepdim=True)
    return torch.max(gamma * (x * torch.rsqrt(nu + abs(1e-6))) + beta, tau)


def scale_norm(x, scale):
    return x * (scale / torch.norm(x, dim=-1, keepdim=True).clamp(min=1e-5))


def rms_norm(x, gamma):
    """As Zhang and Sennrich wrote it."""
    return gamma * (x / (x.norm(2, dim=-1, keepdim=True) * x.shape[-1] ** -0.5 + 1e-8))


def multiplied_out(x, gamma, beta):
    """As TensorFlow's batch_normalization has it."""
    mean = x.mean(-1, keepdim=True)
    k = torch.rsqrt(((x - mean) ** 2).mean(-1, keepdim=True) + 1e-6) * gamma
    return x * k + (beta - mean * k)


def deviation_norm(x, gamma, beta):
    """With the unbiased deviation."""
    return gamma * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + beta


def batch_norm(x, mean, variance, gamma, beta):
    return (x - mean) / torch.sqrt(variance * variance + 0.5) * gamma + beta


def gelu(x):
    return x * 0.5 * (1.0 + torch.erf(x / 1.4142135623730951))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * torch.pow(x, 3.0))))


def write(name, layer, x, opset, symbolic=False):
    torch.onnx.export(layer.eval(), x, os.path.join(HERE, f'{name}_{opset}.onnx'), opset_version=opset,
                      input_names=['x'], output_names=['y'],
                      dynamic_axes={'x': EXTENTS, 'y': EXTENTS} if symbolic else None)


def main():
    torch.manual_seed(1)
    warnings.filterwarnings('ignore')
    image, tokens = torch.randn(2, 6, 5, 4), torch.randn(2, 3, 8)
    one = (1, 6, 1, 1)
    for opset in (11, 13, 17):
        write('group_norm', randomized(nn.GroupNorm(2, 6)), image, opset)
        write('instance_norm', randomized(nn.InstanceNorm2d(6, affine=True)), image, opset)
        write('normalize', Function(lambda x: F.normalize(x, dim=-1)), tokens, opset)
        write('gelu', nn.GELU(), tokens, opset)
        write('silu', nn.SiLU(), tokens, opset)
    write('group_norm_symbolic', randomized(nn.GroupNorm(2, 6)), image, 17, True)
    write('group_norm_single', Function(group_norm, one, one), image, 13)
    write('group_norm_single_symbolic', Function(group_norm, one, one), image, 17, True)
    write('group_norm_and_conv', nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), randomized(nn.GroupNorm(3, 6)),
                                               nn.ReLU(), nn.Conv2d(6, 4, 1)), image, 13)
    write('instance_norm_single', Function(instance_norm, one, one), image, 13)
    write('filter_response_norm', Function(filter_response_norm, one, one, one), image, 13)
    write('batch_norm_and_conv', nn.Sequential(nn.Conv2d(6, 6, 3), Function(batch_norm, one, one, one, one)),
          image, 13)
    write('scale_norm', Function(scale_norm, ()), tokens, 13)
    write('rms_norm', Function(rms_norm, (8,)), tokens, 13)
    write('multiplied_out', Function(multiplied_out, (8,), (8,)), tokens, 13)
    write('deviation_norm', Function(deviation_norm, (8,), (8,)), tokens, 13)
    write('gelu_single', Function(gelu), tokens, 13)
    write('tanh_gelu', Function(tanh_gelu), tokens, 13)


if __name__ == '__main__':
    main()
