"""Runs `normc opt` on models and ONNX Runtime on what comes out; prints a Markdown table.

usage: /usr/bin/python3 tests/bench/opt.py [--models NAME,...] [--model-dir DIR] [--peer-dir DIR] [--normc PROGRAM] [OPTION ...]

A model NAME is NAME.onnx and, if it is there, NAME.unfolded.onnx (exported without folding), with its
input NAME.in.npy and the exporter's own result NAME.out.npy in the model folder; tests/bench/bench.py
makes these folders.  Further OPTIONs go to `normc opt`.  Columns: nodes and opset before and after,
BatchNormalization nodes left, and the largest difference between ONNX Runtime's result on the
rewritten model and the recorded one, over the largest value.  The exit status is 1 if a model fails,
keeps a BatchNormalization, or differs by more than 1e-4.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = ('resnet50', 'mobilenet_v2', 'efficientnet_b0', 'vit_b_16', 'bert_base_128', 'gpt2_small_128')
FORMS = ('', '.unfolded')
MOST = 1e-4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', default=','.join(NAMES))
    parser.add_argument('--model-dir', default=os.path.join(ROOT, 'build', 'models'))
    parser.add_argument('--peer-dir', default=os.path.join(ROOT, 'build', 'ort'))
    parser.add_argument('--normc', default=os.path.join(ROOT, 'build', 'normc'))
    return parser.parse_known_args()


def output_of(command):
    """What a program prints; ends with its message if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f'{command[0]} {command[1]}: exit code {done.returncode}: {done.stderr.strip()[:500]}')
    return done.stdout


def batch_norms(normc, model):
    match = re.search(r'BatchNormalization: (\d+) in the model', output_of([normc, 'inspect', model]))
    return int(match.group(1)) if match else 0


def row_of(options, more, name, form, folder):
    """The cells of a model, and whether all is well."""
    base = os.path.join(options.model_dir, name)
    model, out = base + form + '.onnx', os.path.join(folder, name + form + '.onnx')
    said = output_of([options.normc, 'opt', model, '-o', out] + more)
    nodes, opset, old_nodes, old_opset = re.search(
        r': (\d+) nodes, opset (\d+) \(.*: (\d+) nodes, opset (\d+)\)', said).groups()
    left = batch_norms(options.normc, out)
    found = json.loads(output_of(['node', os.path.join(HERE, 'ort_compare.mjs'), options.peer_dir, out,
                                  base + '.in.npy', base + '.out.npy']))
    os.remove(out)
    share = found['difference'] / found['largest'] if found['largest'] else found['difference']
    cells = [name + form, old_nodes, nodes, old_opset, opset, str(left), f'{share:.1e}']
    return cells, left == 0 and share <= MOST


def main():
    options, more = arguments()
    fine = True
    print('| model | nodes before | after | opset before | after | BatchNormalization left | difference / largest |')
    print('|---|---|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models.split(','):
            for form in FORMS:
                if form and not os.path.exists(os.path.join(options.model_dir, name + form + '.onnx')):
                    continue
                try:
                    cells, good = row_of(options, more, name, form, folder)
                except RuntimeError as error:
                    cells, good = [name + form, str(error)], False
                print('| ' + ' | '.join(cells) + ' |', flush=True)
                fine = fine and good
    return 0 if fine else 1


if __name__ == '__main__':
    sys.exit(main())
