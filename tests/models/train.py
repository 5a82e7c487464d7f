"""Trains the fixtures with real weights, exports them to ONNX and records their test accuracy.

usage: /usr/bin/python3 tests/models/train.py [resnet] [vit] [vit_un] [vit_post_un]

Needs Debian's python3-torch, python3-onnx, libopenblas0-pthread (the reference BLAS is ten times slower)
and dataset-fashion-mnist; takes about half an hour on two cores.
Input: `image`, float32 [N,1,28,28], grey values / 255 (the models normalise them).  Output: `output`,
ten logits.  The norm layers stay in the file: nothing is folded at export, N is left unknown.
Writes fashion_NAME.onnx, fashion_NAME.ref.npz (16 test images and torch's output) and accuracy.json.
"""
import gzip
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = '/usr/share/datasets/fashion-mnist'
BATCH = 128


def load(part):
    with gzip.open(f'{DATA}/{part}-images-idx3-ubyte.gz') as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(f'{DATA}/{part}-labels-idx1-ubyte.gz') as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))


def normalised(image):
    return (image - 0.286) / 0.353


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                       nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


class ResNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        w = width
        self.stem = nn.Sequential(nn.Conv2d(1, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU())
        self.blocks = nn.Sequential(Residual(w, w, 1), Residual(w, 2 * w, 2), Residual(2 * w, 2 * w, 1),
                                    Residual(2 * w, 4 * w, 2), Residual(4 * w, 4 * w, 1))
        self.head = nn.Linear(4 * w, 10)

    def forward(self, image):
        x = self.blocks(self.stem(normalised(image)))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weight = (q @ k.transpose(-1, -2) * (self.heads / self.out.in_features) ** 0.5).softmax(-1)
        return self.out((weight @ v).transpose(1, 2).reshape(n, t, d))


class Smoothed(torch.autograd.Function):
    """Scales channels by a statistic of past batches; its gradient takes a smoothed statistic too."""
    @staticmethod
    def forward(ctx, x, gamma, beta, norm):
        scale, ratio, ctx.skip = norm.measure(x.square().mean((0, 1)))
        z = x * scale
        ctx.save_for_backward(z, gamma, scale, ratio)
        ctx.norm = norm
        return gamma * z + beta

    @staticmethod
    def backward(ctx, g):
        z, gamma, scale, ratio = ctx.saved_tensors
        u = ratio * gamma * g
        mean = ctx.norm.measure_gradient((u * z).mean((0, 1)), ctx.skip)
        return (u - mean * z) * scale, (g * ratio * z).sum((0, 1)), g.sum((0, 1)), None


class UnifiedNorm(nn.Module):
    """Unified Normalization (Yang et al., ACM MM 2022) of [N,tokens,channels]: no mean, and at
    inference a constant scale and shift of each channel.

    Training divides by the root mean square over the geometric mean of the last `window` batches;
    its gradient uses the mean of as many, smoothed.  Batches that are outliers are left out of both.
    """
    def __init__(self, dim, window=4, warmup=500, momentum=0.9, eps=1e-5):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))
        self.window, self.warmup, self.momentum, self.eps = window, warmup, momentum, eps
        self.step = 0
        for name, start in (('running', torch.ones(dim)), ('smoothed', torch.zeros(dim)),
                            ('squares', torch.zeros(window, dim)),
                            ('gradients', torch.zeros(window, dim))):
            self.register_buffer(name, start)

    def is_outlier(self, variance):
        """The spread within channels exceeds that of the window before, over all channels."""
        geometric = self.squares.log().mean(0).exp()
        return ((self.squares.mean(0) - geometric) > self.window * variance).any().item()

    def smooth(self, running, value):
        running.mul_(self.momentum).add_(value, alpha=1 - self.momentum)

    def is_early(self):
        return self.step <= self.window or self.step < self.warmup

    def measure(self, square):
        self.step += 1
        variance, slot = self.squares.sqrt().var(), self.step % self.window
        self.squares[slot] = square
        skip = self.step >= self.warmup and self.is_outlier(variance)
        if skip:
            self.squares[slot] = self.running
        used = square if self.is_early() or skip else self.squares.log().mean(0).exp()
        ratio = ((used + self.eps) / (self.running + self.eps)).sqrt().clamp(0.2, 5)
        if skip or self.step <= 2 * self.warmup:
            ratio = torch.ones_like(ratio)
        self.smooth(self.running, used)
        return (used + self.eps).rsqrt(), ratio, skip

    def measure_gradient(self, mean, skip):
        self.gradients[self.step % self.window] = self.smoothed if skip else mean
        used = mean if self.is_early() or skip else self.gradients.mean(0)
        self.smooth(self.smoothed, used)
        return used if skip else self.smoothed

    def forward(self, x):
        if self.training:
            return Smoothed.apply(x, self.gamma, self.beta, self)
        return x / torch.sqrt(self.running + self.eps) * self.gamma + self.beta


class Encoder(nn.Module):
    def __init__(self, dim, heads, norm, post):
        super().__init__()
        self.norm1, self.attention, self.post = norm(dim), Attention(dim, heads), post
        self.norm2 = norm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 3 * dim), nn.GELU(), nn.Linear(3 * dim, dim))

    def forward(self, x):
        if self.post:
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.mlp(x))
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, norm=nn.LayerNorm, post=False, depth=4):
        super().__init__()
        dim, heads, patch = 64, 4, 4
        self.patch = nn.Conv2d(1, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(1, (28 // patch) ** 2 + 1, dim) * 0.02)
        self.encoders = nn.Sequential(*[Encoder(dim, heads, norm, post) for _ in range(depth)])
        self.norm = nn.Identity() if post else norm(dim)
        self.head = nn.Linear(dim, 10)

    def forward(self, image):
        x = self.patch(normalised(image)).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.encoders(x))[:, 0])


def augmented(images):
    """Mirrors half of the images and moves each batch by up to one pixel."""
    flip = torch.rand(len(images)) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    dy, dx = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(images, (dy, dx), (2, 3))


def train(model, epochs, rate, decay):
    images, labels = load('train')
    steps = epochs * (len(images) // BATCH)
    groups = [{'params': [p for p in model.parameters() if p.dim() > 1], 'weight_decay': decay},
              {'params': [p for p in model.parameters() if p.dim() <= 1], 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.25)
    model.train()
    for epoch in range(epochs):
        order, total, start = torch.randperm(len(images)), 0.0, time.time()
        for i in range(len(images) // BATCH):
            pick = order[i * BATCH:(i + 1) * BATCH]
            loss = F.cross_entropy(model(augmented(images[pick].float() / 255)), labels[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f'epoch {epoch + 1}/{epochs}: loss {total / (i + 1):.4f}, {time.time() - start:.0f} s', flush=True)
    return model.eval()


def logits(model, images):
    with torch.no_grad():
        return torch.cat([model(part.float() / 255) for part in images.split(500)])


def export(name, model, images, labels):
    path = os.path.join(HERE, f'fashion_{name}')
    sample = images[:16].float() / 255
    # Gradients stay on: without them torch may take a fused path that has no ONNX form.
    torch.onnx.export(model, sample[:2], path + '.onnx', opset_version=17, input_names=['image'],
                      output_names=['output'], do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE,
                      dynamic_axes={'image': {0: 'N'}, 'output': {0: 'N'}})
    np.savez_compressed(path + '.ref.npz', image=sample.numpy(), output=model(sample).detach().numpy())
    accuracy = (logits(model, images).argmax(1) == labels).float().mean().item()
    record = os.path.join(HERE, 'accuracy.json')
    table = json.load(open(record)) if os.path.exists(record) else {}
    table[f'fashion_{name}'] = round(accuracy, 4)
    with open(record, 'w') as file:
        json.dump(table, file, indent='\t', sort_keys=True)
        file.write('\n')
    print(f'{name}: accuracy {accuracy:.4f}, {os.path.getsize(path + ".onnx")} bytes', flush=True)


#          model   epochs rate  decay
RECIPES = {'resnet': (ResNet, 5, 4e-3, 2e-2),
           'vit': (ViT, 6, 2e-3, 5e-2),
           'vit_un': (lambda: ViT(UnifiedNorm), 4, 1e-3, 5e-2),
           'vit_post_un': (lambda: ViT(UnifiedNorm, True, 2), 4, 1e-3, 5e-2)}

if __name__ == '__main__':
    torch.set_num_threads(2)
    for name in sys.argv[1:] or RECIPES:
        kind, epochs, rate, decay = RECIPES[name]
        torch.manual_seed(2)
        export(name, train(kind(), epochs, rate, decay), *load('t10k'))
