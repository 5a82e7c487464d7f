"""Compares normc with ONNX Runtime, alternating, and prints a Markdown table.

usage: /usr/bin/python3 tests/bench/bench.py [--shared DIR] [--models NAME,...] [--threads 1,2] [--rounds R] [--runs K]

Each model is compiled once, for this machine.  Then both run in turn for a few rounds, so that a change
of the machine's speed hits both.  A cell is the median over rounds of the medians of one round; the
ratio is the median of the rounds' ratios (below 1: normc is faster).  Models are exported once into
build/models by the shared script, ONNX Runtime comes once into build/ort from npm.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = ('resnet50', 'mobilenet_v2', 'efficientnet_b0', 'vit_b_16', 'bert_base_128', 'gpt2_small_128')
PEER = 'onnxruntime-node@1.30.0'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--shared', default='../shared', help='folder with models/make_models.py')
    parser.add_argument('--models', default=','.join(NAMES))
    parser.add_argument('--model-dir', default=os.path.join(ROOT, 'build', 'models'))
    parser.add_argument('--peer-dir', default=os.path.join(ROOT, 'build', 'ort'))
    parser.add_argument('--normc', default=os.path.join(ROOT, 'build', 'normc'))
    parser.add_argument('--threads', default='1,2')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--runs', type=int, default=15)
    return parser.parse_args()


def prepare(options, names):
    missing = [n for n in names if not os.path.exists(os.path.join(options.model_dir, n + '.out.npy'))]
    if missing:
        script = os.path.join(options.shared, 'models', 'make_models.py')
        if not os.path.exists(script):
            sys.exit(f'bench: {script} is not there; give its folder with --shared or NORMC_SHARED')
        subprocess.run(['/usr/bin/python3', '-W', 'ignore', script, options.model_dir] + missing, check=True)
    if not os.path.isdir(os.path.join(options.peer_dir, 'node_modules', 'onnxruntime-node')):
        os.makedirs(options.peer_dir, exist_ok=True)
        subprocess.run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts',
                        '--prefix', options.peer_dir, PEER], check=True)


def compiled(options, name):
    """The shared library of a model, or the model itself if it does not compile (the bench then says why)."""
    library = os.path.join(ROOT, 'build', 'bench', name + '.so')
    model = os.path.join(options.model_dir, name + '.onnx')
    os.makedirs(os.path.dirname(library), exist_ok=True)
    done = subprocess.run([options.normc, 'compile', model, '-o', library])
    return model if done.returncode else library


def timed(command):
    """The median in milliseconds that a program reports, or None with its message on stderr."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        return float(json.loads(done.stdout)['median_ms'])
    except (ValueError, KeyError, TypeError):
        print(f'{" ".join(command)}: exit status {done.returncode}\n{done.stderr}', file=sys.stderr)
        return None


def measure(options, name, library, threads):
    """(ORT median, normc median, ratio) over the rounds; None where a program fails."""
    files = [os.path.join(options.model_dir, name + suffix) for suffix in ('.onnx', '.in.npy')]
    peer = ['node', os.path.join(HERE, 'ort_bench.mjs'), options.peer_dir, *files, str(threads), str(options.runs)]
    ours = [options.normc, 'bench', library, '--threads', str(threads), '--runs', str(options.runs), '--json']
    rows = []
    for _ in range(options.rounds):
        rows.append((timed(peer), timed(ours)))
        if None in rows[-1]:
            return (*rows[-1], None)
    return (statistics.median(r[0] for r in rows), statistics.median(r[1] for r in rows),
            statistics.median(r[1] / r[0] for r in rows))


def cell(value, digits=1):
    return 'failed' if value is None else f'{value:.{digits}f}'


def main():
    options = arguments()
    names = options.models.split(',')
    prepare(options, names)
    libraries = {name: compiled(options, name) for name in names}
    print('| model | threads | ONNX Runtime ms | normc ms | normc / ONNX Runtime |')
    print('|---|---|---|---|---|', flush=True)
    failed = 0
    for threads in map(int, options.threads.split(',')):
        ratios = []
        for name in names:
            peer, ours, ratio = measure(options, name, libraries[name], threads)
            print(f'| {name} | {threads} | {cell(peer)} | {cell(ours)} | {cell(ratio, 2)} |', flush=True)
            ratios += [ratio] if ratio else []
            failed += ratio is None
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f'| geometric mean of {len(ratios)} | {threads} | | | {mean:.2f} |', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
