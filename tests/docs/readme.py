"""Keeps README.md true: its table of operators and its C example.

usage: readme.py update NORMC        write the table that `normc ops` gives into README.md
       readme.py check NORMC         fail if that would change anything
       readme.py example NORMC CC    compile and run the example, which README.md and runtime/normc.h share
"""
import difflib
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
README = os.path.join(ROOT, 'README.md')
BEGIN, END = '<!-- operators: written by ./dev docs -->\n', '<!-- end of operators -->\n'
COLUMNS = 4
OLDEST, NEWEST = 7, 28  # opsets of models


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as file:
        return file.read()


def ranges(normc):
    """The rows of `normc ops` as {operator: [first, last]}, with adjacent ranges joined."""
    found = {}
    for line in subprocess.run([normc, 'ops'], check=True, capture_output=True, text=True).stdout.splitlines()[2:]:
        name, first, last = re.fullmatch(r'\| (\S+) \| (\d+) to (\d+) \|', line).groups()
        low, high = found.get(name, (NEWEST, 0))
        found[name] = min(low, int(first)), max(high, int(last))
    return found


def cell(name, first, last):
    name = name.replace('ai.onnx.preview.training.', 'training.')
    if last < NEWEST:
        return f'{name} ({first} to {last})'
    return f'{name} ({first}+)' if first > OLDEST else name


def table(normc):
    cells = sorted((cell(name, *opsets) for name, opsets in ranges(normc).items()), key=str.lower)
    height = -(-len(cells) // COLUMNS)
    lines = [f'{len(cells)} operators, from opset {OLDEST} to {NEWEST} where nothing else is said:\n', '\n',
             '|' + ' |' * COLUMNS + '\n', '|' + '---|' * COLUMNS + '\n']
    for i in range(height):
        lines.append('| ' + ' | '.join(cells[i::height]) + ' |\n')
    return ''.join(lines)


def updated(normc):
    text = read('README.md')
    before, rest = text.split(BEGIN)
    return text, before + BEGIN + table(normc) + END + rest.split(END)[1]


def update(normc):
    text, wanted = updated(normc)
    if text != wanted:
        with open(README, 'w', encoding='utf-8') as file:
            file.write(wanted)


def check(normc):
    text, wanted = updated(normc)
    sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), wanted.splitlines(True), 'README.md', 'wanted'))
    if text != wanted:
        sys.exit('README.md is out of date: run ./dev docs')


def example(normc, compiler):
    comment = read('runtime', 'normc.h').split('*/')[0]
    header_code = ''.join(line[3:] + '\n' for line in comment.splitlines() if line.startswith(' *\t'))
    readme_code = re.search(r'```c\n(.*?)```', read('README.md'), re.S).group(1)
    if header_code != readme_code:
        sys.exit('the C examples in README.md and runtime/normc.h differ')
    with tempfile.TemporaryDirectory() as folder:
        source, archive, program = (os.path.join(folder, name) for name in ('app.c', 'mnist.a', 'app'))
        with open(source, 'w', encoding='utf-8') as file:
            file.write(header_code)
        model = os.path.join(ROOT, 'tests', 'models', 'fashion_resnet.onnx')  # its shapes are those of the example
        subprocess.run([normc, 'compile', model, '-o', archive], check=True)
        subprocess.run([compiler, '-std=c11', '-Wall', '-Wextra', '-Werror', '-I', os.path.join(ROOT, 'runtime'),
                        '-I', folder, source, archive, '-lm', '-lpthread', '-o', program], check=True)
        subprocess.run([program], check=True)


def main():
    actions = {'update': (update, 1), 'check': (check, 1), 'example': (example, 2)}
    action, count = actions.get(sys.argv[1] if len(sys.argv) > 1 else '', (None, 0))
    if not action or len(sys.argv) != 2 + count:
        sys.exit(__doc__)
    action(*sys.argv[2:])


if __name__ == '__main__':
    main()
