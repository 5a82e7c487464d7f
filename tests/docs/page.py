"""Opens the pages of `normc inspect --html` in a browser without a window and uses them.

usage: page.py NORMC [MODEL.onnx...]        (default: the trained fixtures and a model with hostile names)

Every page is parsed; in Chromium its script must run, follow a remark, find names, change the size, and
leave the names of the model what they are: text.  Without Chromium the second half is left out, said so.
"""
import html.parser
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIXTURES = [os.path.join(ROOT, 'tests', 'models', name) for name in ('fashion_vit.onnx', 'fashion_resnet.onnx')]
VOID = {'meta', 'br', 'input'}
HOSTILE = '</script></title><script>document.documentElement.dataset.broken="1"//<img src=x onerror=alert(1)>"\'&'

# What a user does; the results are left where --dump-dom shows them.
USE = """
<script>
addEventListener("load", () => setTimeout(() => {
	const wrong = [], $ = (what) => document.querySelector(what);
	const must = (what, is) => { if (!is) wrong.push(what); };
	const link = $("#lists a");
	if (link) {
		link.click();
		must("a remark's link marks its box", $(link.hash).classList.contains("hot"));
		must("the details are shown", !$("#details").hidden);
		must("the details name the box", $("#details h3").textContent.includes($(link.hash + " .title").textContent));
	}
	const box = $("#pane-b g.box");
	box.dispatchEvent(new MouseEvent("click", {bubbles: true}));
	must("a click pins a box", box.classList.contains("pinned"));
	document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}));
	must("Escape ends that", !$(".pinned") && $("#details").hidden);
	$("#search").value = "input";
	$("#search").dispatchEvent(new Event("input"));
	must("the search finds the input", document.querySelectorAll("g.match").length >= 2);
	$("#next").click();
	must("the next match is shown", $("g.here"));
	const width = $("#before").clientWidth;
	$("#larger").click();
	must("it becomes larger", $("#before").clientWidth > width);
	$("#pane-b").scrollTop = 300;
	$("#pane-b").dispatchEvent(new Event("scroll"));
	must("both sides scroll together", Math.abs($("#pane-a").scrollTop - $("#pane-b").scrollTop) < 2);
	document.documentElement.dataset.wrong = wrong.join("; ") || "nothing";
}, 50));
</script>
"""


class Parser(html.parser.HTMLParser):
    """Fails on an end that is not that of the open element."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f'</{tag}> at {self.getpos()} ends nothing'


def field(number, value):
    """A field of a protobuf message: an integer, or bytes."""
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def hostile_model():
    """LayerNormalization and a product, all of whose names are HOSTILE."""
    def tensor(name, *dims):
        count = dims[0] * (dims[1] if len(dims) > 1 else 1)
        numbers = struct.pack(f'<{count}f', *range(count))
        return b''.join(field(1, n) for n in dims) + field(2, 1) + field(8, name) + field(9, numbers)

    def node(op_type, inputs, output):
        return b''.join(field(1, name) for name in inputs) + field(2, output) + field(3, HOSTILE) + field(4, op_type)

    def port(name):
        shape = field(1, field(2, HOSTILE)) + field(1, field(1, 3))
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    x, m, w, y = (HOSTILE + letter for letter in 'xmwy')
    graph = (field(1, node('LayerNormalization', [x, 'scale', 'shift'], m)) + field(1, node('MatMul', [m, w], y)) +
             field(2, HOSTILE) + field(5, tensor(w, 3, 3)) + field(5, tensor('scale', 3)) +
             field(5, tensor('shift', 3)) + field(11, port(x)) + field(12, port(y)))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def check_text(page):
    parser = Parser()
    parser.feed(page)
    parser.close()
    assert not parser.open, f'{parser.open} is not ended'
    assert parser.tags.count('script') == 2, 'there are other scripts than the two of the page'
    for tag in ('img', 'link', 'iframe', 'object'):
        assert tag not in parser.tags, f'there is a <{tag}>'


def check_browser(browser, folder, page):
    path = os.path.join(folder, 'used.html')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(page.replace('</body></html>', USE + '</body></html>'))
    command = [browser, '--headless', '--no-sandbox', '--disable-gpu', '--window-size=1600,1200',
               f'--user-data-dir={folder}/profile', '--virtual-time-budget=5000', '--dump-dom', 'file://' + path]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    root = re.search(r'<html[^>]*>', shown)
    assert root, 'the browser shows nothing'
    assert 'data-ready="1"' in root.group(), 'the script did not run to its end'
    assert 'data-broken' not in root.group(), 'a name was executed'
    wrong = re.search(r'data-wrong="([^"]*)"', root.group())
    assert wrong and wrong.group(1) == 'nothing', f'not so: {wrong and wrong.group(1)}'


def main():
    normc, models = os.path.abspath(sys.argv[1]), sys.argv[2:]
    browser = shutil.which('chromium')
    with tempfile.TemporaryDirectory() as folder:
        if not models:
            models = FIXTURES + [os.path.join(folder, 'hostile.onnx')]
            with open(models[-1], 'wb') as file:
                file.write(hostile_model())
        for model in models:
            path = os.path.join(folder, 'page.html')
            subprocess.run([normc, 'inspect', model, '--html', path], check=True)
            with open(path, encoding='utf-8') as file:
                page = file.read()
            check_text(page)
            if browser:
                check_browser(browser, folder, page)
            print(f'{os.path.basename(model)}: {len(page)} characters')
    if not browser:
        print('chromium is not installed: the pages were parsed, not shown')


main()
