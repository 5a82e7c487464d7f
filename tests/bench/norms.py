"""Measures what the norms of a transformer cost: LayerNorm, RMSNorm, CRMSNorm and UN, alternating.

usage: /usr/bin/python3 tests/bench/norms.py [--models NAME,...] [--threads 1,2] [--rounds R] [--runs K] [--write FILE]

Each model is compiled once in each variant, for this machine.  Then the variants run in turn for a few
rounds, each round starting with another one, so that a change of the machine's speed hits all.  A cell is
the median over rounds of the medians of one round; the ratio is the median of the rounds' ratios to the
first variant.  Prints a Markdown table, and how far UN moved the outputs on the recorded input, which is
its calibration data.  --write puts the table between the two comments of FILE that name this script.
tests/bench/bench.py makes the folder of models.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import zipfile

from bench import ROOT, cell, timed

NAMES = ('vit_b_16', 'gpt2_small_128')
UN = '+layernorm_to_un'
VARIANTS = (  # name, --passes
    ('Pre-LN', '-recentre,-absorb'),
    ('Pre-LN, gamma and beta in the weights', '-recentre'),
    ('Pre-RMS (default)', ''),
    ('Pre-CRMS', '+crms'),
    ('UN, fused', UN),
)
BEGIN, END = '<!-- norms: written by tests/bench/norms.py -->\n', '<!-- end of norms -->\n'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', default=','.join(NAMES))
    parser.add_argument('--model-dir', default=os.path.join(ROOT, 'build', 'models'))
    parser.add_argument('--normc', default=os.path.join(ROOT, 'build', 'normc'))
    parser.add_argument('--threads', default='1,2')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--runs', type=int, default=15)
    parser.add_argument('--write', metavar='FILE')
    return parser.parse_args()


def run(command):
    """What a program prints; ends all with its message if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f'{" ".join(command)}: exit status {done.returncode}\n{done.stderr}')
    return done.stdout


def calibration(options, name, folder):
    """A .npz file of the recorded input of a model that has one."""
    model = os.path.join(options.model_dir, name)
    port = re.search(r'^inputs:\n  (.*?): ', run([options.normc, 'inspect', model + '.onnx']), re.M).group(1)
    path = os.path.join(folder, name + '.npz')
    with zipfile.ZipFile(path, 'w') as archive:
        archive.write(model + '.in.npy', port + '.npy')
    return path


def compiled(options, name, folder):
    """The libraries of all variants, and what was said about UN."""
    libraries, said = [], ''
    for i, (_, passes) in enumerate(VARIANTS):
        library = os.path.join(folder, f'{name}.{i}.so')
        command = [options.normc, 'compile', os.path.join(options.model_dir, name + '.onnx'), '-o', library]
        command += ['--passes', passes] if passes else []
        command += ['--calibrate', calibration(options, name, folder)] if passes == UN else []
        said += run(command)
        libraries.append(library)
    return libraries, said


def measure(options, libraries, threads):
    """Medians in milliseconds and ratios, by variant; None where a program fails."""
    rows = []
    for turn in range(options.rounds):
        row = [None] * len(libraries)
        for k in range(len(libraries)):
            i = (turn + k) % len(libraries)
            row[i] = timed([options.normc, 'bench', libraries[i], '--threads', str(threads), '--runs',
                            str(options.runs), '--json'])
        rows.append(row)
    result = []
    for i in range(len(libraries)):
        if any(row[i] is None or row[0] is None for row in rows):
            result.append((None, None))
        else:
            result.append((statistics.median(row[i] for row in rows),
                           statistics.median(row[i] / row[0] for row in rows)))
    return result


def table_of(options, folder):
    """The lines of the table and of the remarks, and whether nothing failed."""
    lines, notes, good = ['| model | threads | variant | ms | ratio to Pre-LN |\n', '|---|---|---|---|---|\n'], [], True
    for name in options.models.split(','):
        libraries, said = compiled(options, name, folder)
        moved = ' '.join(said.split('moved:\n')[-1].split())
        notes.append(f'{name}, UN in place of all norms without further training: {moved}\n')
        for threads in map(int, options.threads.split(',')):
            for (variant, _), (time, ratio) in zip(VARIANTS, measure(options, libraries, threads)):
                lines.append(f'| {name} | {threads} | {variant} | {cell(time)} | {cell(ratio, 3)} |\n')
                print(lines[-1], end='', flush=True)
                good = good and time is not None
        for library in libraries:
            os.remove(library)
    return lines + ['\n'] + [f'- {note}' for note in notes], good


def write(path, lines):
    with open(path, encoding='utf-8') as file:
        before, rest = file.read().split(BEGIN)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(before + BEGIN + ''.join(lines) + END + rest.split(END)[1])


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        lines, good = table_of(options, folder)
    print('\n' + ''.join(lines), end='')
    if options.write and good:
        write(options.write, lines)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
