"""Writes the small models of this folder, which test_import.c reads.

usage: python3 tests/data/make.py        (needs python3-onnx; the files are committed)
"""
import os

from onnx import TensorProto, helper, numpy_helper, save
import numpy

FOLDER = os.path.dirname(os.path.abspath(__file__))
F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node, value = helper.make_node, helper.make_tensor_value_info


def tensor(name, array):
    return numpy_helper.from_array(numpy.array(array), name)


def write(name, graph, opset=17, ir=8, functions=(), domains=(), about=None):
    imports = [helper.make_opsetid('', opset)] + [helper.make_opsetid(d, 1) for d in domains]
    model = helper.make_model(graph, opset_imports=imports, functions=functions)
    model.ir_version = ir
    model.producer_name = 'make.py'
    if about:
        model.doc_string, model.model_version, model.domain = about, 7, 'some.where'
        helper.set_model_props(model, {'author': 'somebody', 'empty': '', 'of two\nlines': 'ä'})
    save(model, os.path.join(FOLDER, name + '.onnx'))


def graph(nodes, inputs, outputs, initializers=()):
    return helper.make_graph(nodes, 'g', inputs, outputs, list(initializers))


def constants():
    """IR 3: initializers are listed as inputs too; later they would be defaults."""
    parts = ([node('Add', ['x', 'w'], ['y'], 'add')],
             [value('x', F32, ['N', 2]), value('w', F32, [2])], [value('y', F32, ['N', 2])],
             [tensor('w', numpy.float32([10, 20]))])
    write('ir3', graph(*parts), opset=8, ir=3)
    write('default', graph(*parts))


def functions():
    """y = scale(x, factor: 3) + 1 with a default, an absent operand and a function in a function."""
    ref = node('Constant', [], ['f'])
    ref.attribute.add(name='value_float', ref_attr_name='factor', type=1)
    inner = helper.make_function('local', 'Scale', ['a', 'unused'], ['b'],
                                 [ref, node('Mul', ['a', 'f'], ['b'])],
                                 [helper.make_opsetid('', 17)], ['factor'])
    pass_on = node('Scale', ['p'], ['q'], domain='local')
    pass_on.attribute.add(name='factor', ref_attr_name='by', type=1)
    outer = helper.make_function('local', 'Twice', ['p', 'low'], ['r'],
                                 [pass_on, node('Clip', ['q', 'low'], ['r'])],
                                 [helper.make_opsetid('', 17), helper.make_opsetid('local', 1)],
                                 ['by'])
    call = node('Twice', ['x'], ['y'], 'call', domain='local', by=3.0)
    ports = [value('x', F32, [2])], [value('y', F32, [2])]
    write('function', graph([call], *ports), functions=[inner, outer], domains=['local'])
    again = helper.make_function('local', 'Again', ['p'], ['q'],
                                 [node('Again', ['p'], ['q'], domain='local')],
                                 [helper.make_opsetid('local', 1)])
    call = node('Again', ['x'], ['y'], 'call', domain='local')
    write('recursive', graph([call], *ports), functions=[again], domains=['local'])


def exponential():
    """Forty functions, each calling the one below twice."""
    imports = [helper.make_opsetid('', 17), helper.make_opsetid('local', 1)]
    made = [helper.make_function('local', 'F0', ['a'], ['b'], [node('Neg', ['a'], ['b'])], imports)]
    for i in range(1, 40):
        calls = [node('F%d' % (i - 1), ['a'], ['m'], domain='local'),
                 node('F%d' % (i - 1), ['m'], ['b'], domain='local')]
        made.append(helper.make_function('local', 'F%d' % i, ['a'], ['b'], calls, imports))
    call = node('F39', ['x'], ['y'], 'call', domain='local')
    write('exponential', graph([call], [value('x', F32, [2])], [value('y', F32, [2])]),
          functions=made, domains=['local'])


def branches():
    """An If in an If: the inner branches take values and a constant from the outermost graph."""
    then = graph([node('Mul', ['x', 'w'], ['t'])], [], [value('t', F32, [2])])
    other = graph([node('Sub', ['m', 'x'], ['e'])], [], [value('e', F32, [2])])
    inner = graph([node('Neg', ['x'], ['m']),
                   node('If', ['c2'], ['r'], then_branch=then, else_branch=other)],
                  [], [value('r', F32, [2])])
    plain = graph([node('Add', ['z', 'w'], ['s'])], [], [value('s', F32, [2])])
    write('if', graph([node('Abs', ['x'], ['z']),
                       node('If', ['c1'], ['y'], 'outer', then_branch=inner, else_branch=plain)],
                      [value('x', F32, [2]), value('c1', BOOL, []), value('c2', BOOL, [])],
                      [value('y', F32, [2])], [tensor('w', numpy.float32([2, 3]))]))
    chosen = [node('Shape', ['x'], ['s']), node('Size', ['s'], ['rank']),
              node('Equal', ['rank', 'one'], ['c']),
              node('If', ['c'], ['y'], then_branch=graph([node('Neg', ['x'], ['t'])], [],
                                                         [value('t', F32, ['N'])]),
                   else_branch=graph([node('Unsqueeze', ['x', 'rank'], ['e'])], [],
                                     [value('e', F32, ['N', 1])]))]
    write('if_known', graph(chosen, [value('x', F32, ['N'])], [value('y', F32, ['N'])],
                            [tensor('one', numpy.int64(1))]))


def loop(name, trips, nodes, carried_out):
    body = graph(nodes, [value('i', I64, []), value('c', BOOL, []), value('a', F32, [None])],
                 [value('c', BOOL, []), value('b', F32, [None]), value('s', F32, [2])])
    write(name, graph([node('Constant', [], ['go'], value=tensor('', numpy.bool_(True))),
                       node('Loop', ['m', 'go', 'x'], ['y', 'all'], 'loop', body=body)],
                      [value('x', F32, [2]), value('w', F32, [2])],
                      [value('y', F32, [carried_out]), value('all', F32, [None, 2])], [trips]))


def loops():
    add = [node('Cast', ['i'], ['fi'], to=F32), node('Add', ['w', 'fi'], ['s']),
           node('Add', ['a', 's'], ['b'])]
    loop('loop', tensor('m', numpy.int64(3)), add, 2)
    grow = [node('Identity', ['w'], ['s']), node('Concat', ['a', 's'], ['b'], axis=0)]
    loop('loop_grow', tensor('m', numpy.int64(3)), grow, 8)
    # running sums along axis 1, backwards
    body = graph([node('Add', ['a', 'e'], ['b']), node('Identity', ['b'], ['o'])],
                 [value('a', F32, [2]), value('e', F32, [2])],
                 [value('b', F32, [2]), value('o', F32, [2])])
    scan = node('Scan', ['start', 'x'], ['end', 'y'], 'scan', body=body, num_scan_inputs=1,
                scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[1],
                scan_output_directions=[1])
    write('scan', graph([scan], [value('start', F32, [2]), value('x', F32, [2, 'T'])],
                        [value('end', F32, [2]), value('y', F32, [2, 'T'])]))


def endless():
    """A loop without a trip count whose condition stays true."""
    body = helper.make_graph([node('Identity', ['go'], ['on']), node('Neg', ['v'], ['w'])], 'body',
                             [value('i', I64, []), value('go', TensorProto.BOOL, []),
                              value('v', F32, [])],
                             [value('on', TensorProto.BOOL, []), value('w', F32, [])])
    loop = node('Loop', ['', 'true', 'x'], ['y'], 'loop', body=body)
    write('endless', graph([loop], [value('x', F32, [])], [value('y', F32, [])],
                           [tensor('true', numpy.bool_(True))]))


def shapes():
    """What exporters write: the batch is taken from the shape, the rest is constant."""
    nodes = [node('Shape', ['x'], ['shape']), node('Gather', ['shape', 'zero'], ['n']),
             node('Unsqueeze', ['n', 'axis'], ['n1']), node('Concat', ['n1', 'rest'], ['to'], axis=0),
             node('Reshape', ['x', 'to'], ['y'])]
    write('shapes', graph(nodes, [value('x', F32, ['N', 4, 3])], [value('y', F32, ['N', 12])],
                          [tensor('zero', numpy.int64(0)), tensor('axis', numpy.int64([0])),
                           tensor('rest', numpy.int64([-1]))]))
    half = [node('Shape', ['x'], ['shape']), node('Gather', ['shape', 'first'], ['n']),
            node('Gather', ['shape', 'second'], ['d']), node('Cast', ['d'], ['df'], to=F32),
            node('Mul', ['df', 'half'], ['h']), node('Cast', ['h'], ['hi'], to=I64),
            node('Concat', ['n', 'hi', 'rest'], ['to'], axis=0), node('Reshape', ['x', 'to'], ['y'])]
    write('float_shape', graph(half, [value('x', F32, ['N', 4, 3])], [value('y', F32, ['N', 2, 6])],
                               [tensor('first', numpy.int64([0])), tensor('second', numpy.int64([1])),
                                tensor('half', numpy.float32(0.5)), tensor('rest', numpy.int64([-1]))]))
    write('reshape_input', graph([node('Reshape', ['x', 'to'], ['y'])],
                                 [value('x', F32, [2, 6]), value('to', I64, [2])],
                                 [value('y', F32, [None, None])]))


def wrong():
    ports = [value('x', F32, [2])], [value('y', F32, [2])]
    write('undefined', graph([node('Add', ['x', 'later'], ['y'], 'first')], *ports))
    write('twice', graph([node('Neg', ['x'], ['y']), node('Abs', ['x'], ['y'], 'second')], *ports))
    write('typo', graph([node('Softmaxx', ['x'], ['y'], '/encoder/a')], *ports))
    write('too_old', graph([node('Gelu', ['x'], ['y'], 'g')], *ports), opset=17)
    write('opset6', graph([node('Neg', ['x'], ['y'])], *ports), opset=6)
    twins = [value('x', F32, [2]), value('x', F32, [2])]
    write('two_inputs', graph([node('Neg', ['x'], ['y'])], twins, ports[1]))
    write('two_outputs', graph([node('Neg', ['x'], ['y'])], ports[0], 2 * ports[1]))
    write('negative', graph([node('Neg', ['x'], ['y'])], [value('x', F32, [4, -7])],
                            [value('y', F32, [4, None])]))
    write('bad_index', graph([node('Gather', ['x', 'i'], ['y'], 'pick')],
                             [value('x', F32, [2, 3]), value('i', I64, [1])],
                             [value('y', F32, [1, 3])]))
    write('unequal', graph([node('Add', ['x', 'z'], ['y'], 'sum')],
                           [value('x', F32, ['N', 3]), value('z', F32, ['M', 3])],
                           [value('y', F32, ['N', 3])]))
    write('too_short', graph([node('Pad', ['x', 'cut'], ['shorter'], 'cut'),
                              node('ReduceSum', ['shorter', 'rows'], ['y'], 'sum')],
                             [value('x', F32, ['N', 3])], [value('y', F32, [1, 3])],
                             [tensor('cut', numpy.int64([0, 0, -5, 0])),
                              tensor('rows', numpy.int64([0]))]))
    image, four = [value('x', F32, [1, 3, 8, 8])], [value('y', F32, [None] * 4)]
    write('no_groups', graph([node('Conv', ['x', 'w'], ['y'], 'conv', group=0)], image, four,
                             [tensor('w', numpy.zeros((4, 3, 3, 3), numpy.float32))]))
    write('huge_kernel', graph([node('MaxPool', ['x'], ['y'], 'pool', kernel_shape=[2, 1 << 40])],
                               image, four))
    write('bad_perm', graph([node('Transpose', ['x'], ['y'], 'turn', perm=[0, 7, 1, 2])], image,
                            four))
    write('strings', graph([node('Identity', ['x'], ['y'])], [value('x', TensorProto.STRING, [2])],
                           [value('y', TensorProto.STRING, [2])]))


def odd_names():
    """Names that the writer would choose itself, and nodes without any."""
    nodes = [node('Relu', ['i64_0_list'], ['f32_1'], 'y'),
             node('Add', ['f32_1', 'shape 0'], ['']), node('Neg', ['f32_1'], ['neg'], ''),
             node('Abs', ['neg'], ['abs_1'], 'abs'), node('Exp', ['abs_1'], ['abs'], 'abs'),
             node('Slice', ['abs', 'first', 'last'], ['y_1'], 'abs_1'),
             node('LayerNormalization', ['y_1', 'shape 0'], ['y'], 'RMSNormalization', axis=-1)]
    nodes[1].output[0] = 'unused'
    write('odd_names', graph(nodes, [value('i64_0_list', F32, ['N', 4])],
                             [value('y', F32, ['N', 4]), value('abs_1', F32, ['N', 4])],
                             [tensor('shape 0', numpy.float32([1, 2, 3, 4])),
                              tensor('first', numpy.int64([0])),
                              tensor('last', numpy.int64([9]))]))


def odd_outputs():
    """An input, a weight, one value under several names, and a result of the last but one node."""
    nodes = [node('Identity', ['x'], ['a']), node('Identity', ['w'], ['b']),
             node('Neg', ['x'], ['c']), node('Identity', ['c'], ['d']),
             node('Add', ['c', 'w'], ['e'])]
    names = ['x', 'w', 'a', 'b', 'c', 'd', 'e']
    write('odd_outputs', graph(nodes, [value('x', F32, [2]), value('unread', F32, [3])],
                               [value(name, F32, [2]) for name in names],
                               [tensor('w', numpy.float32([5, 6]))]), about='What it is for.')


def odd_type(name, elem):
    """A product, a norm over axis 1, activations and a choice in one element type."""
    def constant(key, dims, *values):
        return helper.make_tensor(key, elem, dims, values)
    weights = [constant('w', [3, 4], *(0.25 * k - 1 for k in range(12))),
               constant('gamma', [4], 1, 0.5, 2, -1), constant('beta', [4], 0, 1, 0.5, 2),
               constant('epsilon', [], 0.125), constant('half', [], 0.5),
               constant('one', [], 1), constant('root', [], 1.4140625)]
    nodes = [node('MatMul', ['x', 'w'], ['h']),
             node('ReduceMean', ['h'], ['m'], axes=[-1]), node('Sub', ['h', 'm'], ['d']),
             node('Mul', ['d', 'd'], ['dd']), node('ReduceMean', ['dd'], ['v'], axes=[-1]),
             node('Add', ['v', 'epsilon'], ['ve']), node('Sqrt', ['ve'], ['s']),
             node('Div', ['d', 's'], ['n']), node('Mul', ['n', 'gamma'], ['ng']),
             node('Add', ['ng', 'beta'], ['norm']),
             node('Div', ['norm', 'root'], ['r']), node('Erf', ['r'], ['er']),
             node('Add', ['er', 'one'], ['e1']), node('Mul', ['norm', 'e1'], ['ne']),
             node('Mul', ['ne', 'half'], ['g']), node('Less', ['g', 'one'], ['few']),
             node('Where', ['few', 'g', 'norm'], ['y'])]
    write(name, graph(nodes, [value('x', elem, ['N', 3])], [value('y', elem, ['N', 4])], weights))


def odd_symbols():
    """Extents without names, a name in two inputs, extents that are computed, an expression as a
    name, and no elements at all."""
    nodes = [node('Concat', ['x', 'z'], ['xz'], axis=1), node('Shape', ['z'], ['s']),
             node('Gather', ['s', 'one'], ['n']), node('Reshape', ['xz', 'flat'], ['line']),
             node('Expand', ['w', 'n'], ['many']), node('Concat', ['line', 'many'], ['y'], axis=0),
             node('Slice', ['x', 'none', 'none'], ['empty'])]
    write('odd_symbols', graph(nodes, [value('x', F32, ['N', 'a*b']), value('z', F32, ['N', None])],
                               [value('y', F32, [None]), value('empty', F32, [0, 'a*b'])],
                               [tensor('one', numpy.int64([1])), tensor('flat', numpy.int64([-1])),
                                tensor('none', numpy.int64([0])), tensor('w', numpy.float32([7]))]))


def odd_if():
    """Branches that give an outer value and a weight, and reuse each other's names."""
    ports = [value('t', F32, [2, 4]), value('u', F32, [2, 4])]
    norm = node('LayerNormalization', ['x', 'w'], ['t'], 'same')
    then = graph([norm, node('Identity', ['x'], ['u'], 'same')], [], ports)
    other = graph([node('Identity', ['big'], ['t'], 'same'), node('Neg', ['x'], ['u'], 'same')], [],
                  ports)
    choice = node('If', ['c'], ['y', 'z'], 'same', then_branch=then, else_branch=other)
    write('odd_if', graph([choice], [value('x', F32, [2, 4]), value('c', BOOL, [])],
                          [value('y', F32, [2, 4]), value('z', F32, [2, 4])],
                          [tensor('w', numpy.float32([1, 2, 3, 4])),
                           tensor('big', numpy.float32([[1, 2, 3, 4], [5, 6, 7, 8]]))]))


def odd_loop():
    """A norm in the body of a loop, which gives a value of the outer graph and one value twice."""
    body = graph([node('LayerNormalization', ['a', 'w'], ['h']), node('Add', ['h', 'x'], ['b']),
                  node('Identity', ['c'], ['go']), node('Identity', ['x'], ['outer']),
                  node('Identity', ['b'], ['again'])],
                 [value('i', I64, []), value('c', BOOL, []), value('a', F32, ['N', 4])],
                 [value('go', BOOL, []), value('b', F32, ['N', 4]),
                  value('outer', F32, ['N', 4]), value('again', F32, ['N', 4])])
    nodes = [node('Loop', ['m', 'true', 'x'], ['y', 'xs', 'all'], 'loop', body=body)]
    write('odd_loop', graph(nodes, [value('x', F32, ['N', 4])],
                            [value('y', F32, ['N', 4]), value('xs', F32, [3, 'N', 4]),
                             value('all', F32, [3, 'N', 4])],
                            [tensor('m', numpy.int64(3)), tensor('true', numpy.bool_(True)),
                             tensor('w', numpy.float32([1, 2, 3, 4]))]))


def odd_spectrum():
    """A spectrum, which has no other form before opset 17, behind the greatest elements' places."""
    nodes = [node('TopK', ['x', 'k'], ['', 'at'], 'greatest'),
             node('STFT', ['x3', 'step', 'window'], ['y'], 'spectrum')]
    nodes[0].output[0] = 'unread'
    write('odd_spectrum', graph(nodes, [value('x', F32, [1, 8]), value('x3', F32, [1, 8, 1])],
                                [value('at', I64, [1, 2]), value('y', F32, [1, 3, 3, 2])],
                                [tensor('k', numpy.int64([2])), tensor('step', numpy.int64(2)),
                                 tensor('window', numpy.float32([1, 2, 2, 1]))]))


for make in (constants, functions, exponential, branches, loops, endless, shapes, wrong,
             odd_names, odd_outputs, odd_symbols, odd_if, odd_loop, odd_spectrum):
    make()
for elem in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE):
    odd_type('odd_' + TensorProto.DataType.Name(elem).lower(), elem)
