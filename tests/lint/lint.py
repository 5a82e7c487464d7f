"""Checks the style limits on every C file: lengths, columns, parameters, nesting, banned functions.

usage: python3 tests/lint/lint.py [FILE...]        (default: all C files of the source folders)

Prints `file:line: message` for each finding; the exit status is 1 if there is one.  A function may
have up to 100 lines if the line above it is the comment `/* long: the reason */`.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ('frontend', 'ir', 'passes', 'codegen', 'runtime', 'tests')
FUNCTION_LINES, LONG_FUNCTION_LINES = 60, 100
FILE_LINES, LONG_FILE_LINES = 600, 1000
COLUMNS, TABLE_COLUMNS = 100, 160  # rows of .def tables may be wider
PARAMETERS, NESTING = 5, 4
BANNED = {'sprintf', 'vsprintf', 'strcpy', 'strcat', 'strtok', 'gets', 'atoi', 'atol', 'atof'}
ENDING = {'exit', 'abort', '_exit', 'quick_exit'}  # only programs may end the process
PROGRAMS = re.compile(r'^(tests/|frontend/(main|command\w*)\.c$)')
KEYWORDS = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'do', 'else'}


def blank(text):
    """The same text, same positions, with comments, strings and preprocessor lines made blank."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    text = pattern.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)
    directive = re.compile(r'^[ \t]*#(?:[^\n\\]|\\\n|\\[^\n])*', re.M)
    return directive.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)


def split_parameters(text):
    depth, parts = 0, 1
    for letter in text:
        depth += (letter in '([{') - (letter in ')]}')
        parts += letter == ',' and depth == 0
    if text.rstrip().endswith('...'):
        parts -= 1  # the rest of a message's arguments
    return 0 if text.strip() in ('', 'void') else parts


def parameters_of(head):
    """The text between the parentheses that hold the parameters of a definition's head, or None."""
    match = re.search(r'\b(\w+)\s*\(', head)
    if not match or match.group(1) in KEYWORDS:
        return None
    depth = 0
    for i in range(match.end() - 1, len(head)):
        depth += (head[i] == '(') - (head[i] == ')')
        if depth == 0:
            return head[match.end():i]
    return None


def functions(code):
    """Yields (start, end, head, deepest) for each function: offsets, signature, brace depth within."""
    depth = deepest = 0
    start = opened = -1
    head_from = 0
    for match in re.finditer(r'[{};]', code):
        at, mark = match.start(), match.group()
        if mark == '{':
            head = code[head_from:at]
            if depth == 0:
                is_function = head.rstrip().endswith(')') and '=' not in head
                opened = at if is_function else -1
                start = head_from + len(head) - len(head.lstrip())
                deepest = 0
            depth += 1
            if not re.search(r'[=,({]\s*$|\)\s*$(?<=\}\))', code[max(0, at - 80):at]):
                deepest = max(deepest, depth)
        elif mark == '}':
            depth = max(0, depth - 1)
            if depth == 0:
                if opened >= 0:
                    yield start, at, code[start:opened], deepest
                head_from, opened = at + 1, -1
        elif depth == 0:
            head_from = at + 1


def check_functions(text, code, report):
    lines = text.split('\n')
    for start, end, head, deepest in functions(code):
        first = text.count('\n', 0, start) + 1
        length = text.count('\n', start, end) + 1
        above = lines[first - 2] if first > 1 else ''
        allowed = LONG_FUNCTION_LINES if re.search(r'/\* long: \S', above) else FUNCTION_LINES
        parameters = parameters_of(head)
        if parameters is None:
            continue
        if length > allowed:
            report(first, f'function has {length} lines, {allowed} allowed')
        if split_parameters(parameters) > PARAMETERS:
            report(first, f'function has {split_parameters(parameters)} parameters, {PARAMETERS} allowed')
        if deepest > NESTING:
            report(first, f'blocks are nested {deepest - 1} deep, {NESTING - 1} allowed')


def check_lines(path, text, report):
    limit = TABLE_COLUMNS if path.endswith('.def') else COLUMNS
    for number, line in enumerate(text.split('\n'), 1):
        width = len(line.expandtabs(8))
        indent = re.match(r'[ \t]*', line).group()
        if width > limit:
            report(number, f'{width} columns, {limit} allowed')
        if ' \t' in indent or ' ' * 8 in indent:
            report(number, 'indent with tabs')
        if line != line.rstrip():
            report(number, 'space at the end of the line')


def check_calls(path, code, report):
    for match in re.finditer(r'(?<![\w.>])(\w+)\s*\(', code):
        name = match.group(1)
        ends = name in ENDING and not PROGRAMS.match(path)
        if name in BANNED or ends:
            report(code.count('\n', 0, match.start()) + 1, f'{name} is banned')


def check(path, text):
    """The findings in one file, as a list of (line, message)."""
    found = []
    report = lambda line, message: found.append((line, message))
    count = text.count('\n')
    code = blank(text)
    long_file = re.search(r'/\* long: \S', text[:3000])
    allowed = LONG_FILE_LINES if path.endswith('.def') or long_file else FILE_LINES
    if count > allowed:
        report(count, f'file has {count} lines, {allowed} allowed')
    if not text.startswith('/*'):
        report(1, 'the file starts with a comment on what it does')
    if not text.endswith('\n'):
        report(count + 1, 'no newline at the end')
    check_lines(path, text, report)
    check_calls(path, code, report)
    check_functions(text, code, report)
    return sorted(found)


def main():
    names = sys.argv[1:]
    if not names:
        for folder in FOLDERS:
            for base, _, files in os.walk(os.path.join(ROOT, folder)):
                names += [os.path.join(base, f) for f in files if f.endswith(('.c', '.h', '.def'))]
    total = 0
    for name in sorted(names):
        path = os.path.relpath(os.path.abspath(name), ROOT)
        with open(name, encoding='utf-8') as file:
            for line, message in check(path, file.read()):
                print(f'{path}:{line}: {message}')
                total += 1
    print(f'{len(names)} files, {total} findings')
    return 1 if total else 0


if __name__ == '__main__':
    sys.exit(main())
