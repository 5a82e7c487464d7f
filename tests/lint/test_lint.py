"""The lint finds what it should, at the right line, and is silent on good code."""
import unittest

from lint import check

HEAD = '/* What it does. */\n'


def messages(body, path='ir/x.c'):
    return [f'{line}: {message}' for line, message in check(path, HEAD + body)]


def function(lines, above=''):
    return above + 'static int f(int a)\n{\n' + '\treturn a;\n' * (lines - 3) + '}\n'


class Lint(unittest.TestCase):
    def test_good(self):
        self.assertEqual(messages('struct s {\n\tint a[3];\n};\nint f(void)\n{\n\treturn 0; /* atoi(x) */\n}\n'), [])
        self.assertEqual(messages('static const int table[] = {\n\t1, 2,\n};\n'), [])

    def test_function_length(self):
        self.assertEqual(messages(function(60)), [])
        self.assertEqual(messages(function(61)), ['2: function has 61 lines, 60 allowed'])
        self.assertEqual(messages(function(100, '/* long: one row a case */\n')), [])
        self.assertEqual(messages(function(101, '/* long: one row a case */\n')),
                         ['3: function has 101 lines, 100 allowed'])

    def test_file_length(self):
        self.assertEqual(messages('int a;\n' * 599), [])
        self.assertEqual(messages('int a;\n' * 600), ['601: file has 601 lines, 600 allowed'])

    def test_parameters(self):
        self.assertEqual(messages('int f(int a, int (*b)(int, int), int c, int d, int e)\n{\n}\n'), [])
        self.assertEqual(messages('int f(int a, int b, int c, int d, int e, int g)\n{\n}\n'),
                         ['2: function has 6 parameters, 5 allowed'])
        self.assertEqual(messages('int f(int a, int b, int c, int d, int e, ...)\n{\n}\n'), [])

    def test_nesting(self):
        deep = 'void f(void)\n{\n' + '\tif (1) {\n' * 4 + '\t}\n' * 4 + '}\n'
        self.assertEqual(messages(deep), ['2: blocks are nested 4 deep, 3 allowed'])
        flat = 'void f(void)\n{\n' + '\tif (1) {\n' * 3 + '\tint a[2][1] = {{0}, {1}};\n' + '\t}\n' * 3 + '}\n'
        self.assertEqual(messages(flat), [])

    def test_calls(self):
        self.assertEqual(messages('int f(void)\n{\n\treturn atoi("1");\n}\n'), ['4: atoi is banned'])
        self.assertEqual(messages('void f(void)\n{\n\tabort();\n}\n'), ['4: abort is banned'])
        self.assertEqual(messages('void f(void)\n{\n\texit(1);\n}\n', 'frontend/main.c'), [])
        self.assertEqual(messages('void f(void)\n{\n\tpool.exit(1);\n}\n'), [])

    def test_lines(self):
        self.assertEqual(messages('int ' + 'a' * 96 + ';\n'), ['2: 101 columns, 100 allowed'])
        self.assertEqual(messages('        int a;\n'), ['2: indent with tabs'])
        self.assertEqual(messages('int a; \n'), ['2: space at the end of the line'])
        self.assertEqual(check('ir/x.c', 'int a;\n'), [(1, 'the file starts with a comment on what it does')])


if __name__ == '__main__':
    unittest.main()
