/* What the ONNX writer makes of small graphs: the operators in order, and the same results after
 * reading them back.  Near misses show what an operator must not cover.
 */
#include "roundtrip.h"

struct sample {
	const char *name;
	int32_t cap;
	const char *text, *operators;
};

static const struct sample samples[] = {
		{"conv and bias", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,2,5]\n"
		 "%1 = constant : f32[3,2,2] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n"
		 "%2 = conv %0 %1 {groups 1 stride [1] dilation [1] x_dilation [1] before [1] "
		 "after [0]} : f32[N,3,5]\n"
		 "%3 = constant : f32[1,3,1] = [1, 2, 3]\n%4 = broadcast %3 {to [N,3,5]} : "
		 "f32[N,3,5]\n"
		 "%5 = add %2 %4 : f32[N,3,5]\nreturn %5 \"y\"\n",
		 "Conv"},
		{"conv read twice", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[1,2,5]\n"
		 "%1 = constant : f32[1,2,1] = [1, 2]\n"
		 "%2 = conv %0 %1 {groups 1 stride [1] dilation [1] x_dilation [1] before [0] "
		 "after [0]} : f32[1,1,5]\n"
		 "%3 = constant : f32[1,1,1] = [3]\n%4 = broadcast %3 {to [1,1,5]} : f32[1,1,5]\n"
		 "%5 = add %2 %4 : f32[1,1,5]\nreturn %5 \"y\", %2 \"z\"\n",
		 "Conv Add"},
		{"transposed conv", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[2,4,5]\n"
		 "%1 = constant : f32[2,2,3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n"
		 "%2 = conv %0 %1 {groups 2 stride [1] dilation [1] x_dilation [2] before [1] "
		 "after [2]} : f32[2,2,10]\nreturn %2 \"y\"\n",
		 "ConvTranspose"},
		{"transposed conv with a stride", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[2,2,5]\n%1 = constant : f32[1,2,1] = [1, 2]\n"
		 "%2 = conv %0 %1 {groups 1 stride [2] dilation [1] x_dilation [3] before [0] "
		 "after [0]} : f32[2,1,7]\nreturn %2 \"y\"\n",
		 "Reshape Pad Reshape Pad Conv"},
		{"gemm", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,3]\n"
		 "%1 = constant : f32[3,2] = [1, 2, 3, 4, 5, 6]\n%2 = matmul %0 %1 : f32[N,2]\n"
		 "%3 = constant : f32[1,2] = [1, 2]\n%4 = broadcast %3 {to [N,2]} : f32[N,2]\n"
		 "%5 = add %2 %4 : f32[N,2]\nreturn %5 \"y\"\n",
		 "Gemm"},
		{"product with transposed weights", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,3]\n"
		 "%1 = constant : f32[2,3] = [1, 2, 3, 4, 5, 6]\n"
		 "%2 = transpose %1 {perm [1,0]} : f32[3,2]\n%3 = matmul %0 %2 : f32[N,2]\n"
		 "return %3 \"y\"\n",
		 "Gemm"},
		{"repeated matrices", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,2,3]\n%1 = input \"w\" : f32[1,3,2]\n"
		 "%2 = broadcast %1 {to [N,3,2]} : f32[N,3,2]\n%3 = matmul %0 %2 : f32[N,2,2]\n"
		 "return %3 \"y\"\n",
		 "MatMul"},
		{"repetition of both operands", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,1]\n%1 = input \"w\" : f32[1,3]\n"
		 "%2 = broadcast %0 {to [N,3]} : f32[N,3]\n%3 = broadcast %1 {to [N,3]} : "
		 "f32[N,3]\n"
		 "%4 = mul %2 %3 : f32[N,3]\nreturn %4 \"y\"\n",
		 "Mul"},
		{"repetition that is needed", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[1,3]\n%1 = input \"w\" : f32[1,3]\n"
		 "%2 = broadcast %0 {to [4,3]} : f32[4,3]\n%3 = broadcast %1 {to [4,3]} : "
		 "f32[4,3]\n"
		 "%4 = mul %2 %3 : f32[4,3]\nreturn %4 \"y\"\n",
		 "Expand Mul"},
		{"mean", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n%1 = reduce_sum %0 {axes [1]} : "
		 "f32[N,1]\n"
		 "%2 = constant : f32[1,1] = [4]\n%3 = broadcast %2 {to [N,1]} : f32[N,1]\n"
		 "%4 = div %1 %3 : f32[N,1]\nreturn %4 \"y\"\n",
		 "ReduceMean"},
		{"no mean", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n%1 = reduce_sum %0 {axes [1]} : "
		 "f32[N,1]\n"
		 "%2 = constant : f32[1,1] = [3]\n%3 = broadcast %2 {to [N,1]} : f32[N,1]\n"
		 "%4 = div %1 %3 : f32[N,1]\nreturn %4 \"y\"\n",
		 "ReduceSum Div"},
		{"mean over an unknown extent", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n%1 = reduce_sum %0 {axes [0]} : "
		 "f32[1,4]\n"
		 "%2 = dims {rank 0 value [N]} : i64[]\n%3 = cast %2 {to f32 wrap false} : f32[]\n"
		 "%4 = reshape %3 {to [1,1]} : f32[1,1]\n%5 = broadcast %4 {to [1,4]} : f32[1,4]\n"
		 "%6 = div %1 %5 : f32[1,4]\nreturn %6 \"y\"\n",
		 "ReduceMean"},
		{"average pool", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,1,4]\n%1 = pool_sum %0 {kernel [2] stride "
		 "[2] "
		 "dilation [1] before [1] after [1]} : f32[N,1,3]\n"
		 "%2 = constant : f32[1,1,1] = [0.5]\n%3 = broadcast %2 {to [N,1,3]} : f32[N,1,3]\n"
		 "%4 = mul %1 %3 : f32[N,1,3]\nreturn %4 \"y\"\n",
		 "AveragePool"},
		{"relu", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = constant : f32[1] = [0]\n"
		 "%2 = broadcast %1 {to [3]} : f32[3]\n%3 = max %0 %2 : f32[3]\nreturn %3 \"y\"\n",
		 "Relu"},
		{"clip", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = constant : f32[1] = [0]\n"
		 "%2 = broadcast %1 {to [3]} : f32[3]\n%3 = max %0 %2 : f32[3]\n"
		 "%4 = constant : f32[1] = [1]\n%5 = broadcast %4 {to [3]} : f32[3]\n"
		 "%6 = min %3 %5 : f32[3]\nreturn %6 \"y\"\n",
		 "Clip"},
		{"limits the wrong way round", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = constant : f32[1] = [1]\n"
		 "%2 = broadcast %1 {to [3]} : f32[3]\n%3 = min %0 %2 : f32[3]\n"
		 "%4 = constant : f32[1] = [2]\n%5 = broadcast %4 {to [3]} : f32[3]\n"
		 "%6 = max %3 %5 : f32[3]\nreturn %6 \"y\"\n",
		 "Min Max"},
		{"sigmoid", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = neg %0 : f32[3]\n%2 = exp %1 : "
		 "f32[3]\n"
		 "%3 = constant : f32[1] = [1]\n%4 = broadcast %3 {to [3]} : f32[3]\n"
		 "%5 = add %2 %4 : f32[3]\n%6 = div %4 %5 : f32[3]\nreturn %6 \"y\"\n",
		 "Sigmoid"},
#define GELU(half)                                                                                 \
	"graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = constant : f32[1] = [0.70710678118]\n"       \
	"%2 = broadcast %1 {to [3]} : f32[3]\n%3 = mul %0 %2 : f32[3]\n%4 = erf %3 : f32[3]\n"     \
	"%5 = constant : f32[1] = [1]\n%6 = broadcast %5 {to [3]} : f32[3]\n"                      \
	"%7 = add %4 %6 : f32[3]\n%8 = mul %0 %7 : f32[3]\n%9 = constant : f32[1] = [" half "]\n"  \
	"%10 = broadcast %9 {to [3]} : f32[3]\n%11 = mul %8 %10 : f32[3]\nreturn %11 \"y\"\n"
		{"gelu", 23, GELU("0.5"), "Gelu"},
		{"gelu below opset 20", 19, GELU("0.5"), "Mul Erf Add Mul Mul"},
		{"no gelu", 23, GELU("0.25"), "Mul Erf Add Mul Mul"},
		{"gelu with tanh", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = mul %0 %0 : f32[3]\n%2 = mul %1 %0 "
		 ": f32[3]\n"
		 "%3 = constant : f32[1] = [0.044715]\n%4 = broadcast %3 {to [3]} : f32[3]\n"
		 "%5 = mul %2 %4 : f32[3]\n%6 = add %0 %5 : f32[3]\n"
		 "%7 = constant : f32[1] = [0.7978845608]\n%8 = broadcast %7 {to [3]} : f32[3]\n"
		 "%9 = mul %6 %8 : f32[3]\n%10 = tanh %9 : f32[3]\n%11 = constant : f32[1] = [1]\n"
		 "%12 = broadcast %11 {to [3]} : f32[3]\n%13 = add %10 %12 : f32[3]\n"
		 "%14 = constant : f32[1] = [0.5]\n%15 = broadcast %14 {to [3]} : f32[3]\n"
		 "%16 = mul %0 %15 : f32[3]\n%17 = mul %16 %13 : f32[3]\nreturn %17 \"y\"\n",
		 "Gelu"},
#define NORM(shape, parameter, axes, rest)                                                         \
	"graph \"g\"\n%0 = input \"x\" : f32[" shape "]\n%1 = input \"p\" : f32[" parameter "]\n"  \
	"%2 = norm %0 %1 {axes [" axes "] " rest " gamma true beta false} : f32[" shape "]\n"      \
	"return %2 \"y\"\n"
#define USUAL " epsilon 1e-05 place inside unbiased false"
		{"layer norm", 23, NORM("N,3,4", "1,1,4", "2", "centre mean scale rms" USUAL),
		 "Reshape LayerNormalization"},
		{"layer norm over two axes", 23,
		 NORM("N,3,4", "1,3,4", "1,2", "centre mean scale rms" USUAL),
		 "Reshape LayerNormalization"},
		{"layer norm with another parameter", 23,
		 NORM("N,3,4", "N,1,1", "2", "centre mean scale rms" USUAL),
		 "LayerNormalization Mul"},
		{"layer norm below opset 17", 16,
		 NORM("N,3,4", "1,1,4", "2", "centre mean scale rms" USUAL),
		 "normc.nn.LayerNormalization"},
		{"layer norm over two axes below opset 17", 15,
		 NORM("N,3,4", "N,3,1", "1,2", "centre mean scale rms" USUAL),
		 "normc.nn.LayerNormalization"},
		{"layer norm below functions", 14,
		 NORM("N,3,4", "1,1,4", "2", "centre mean scale rms" USUAL),
		 "ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul"},
		{"layer norm of f64 below opset 17", 16,
		 "graph \"g\"\n%0 = input \"x\" : f64[N,4]\n"
		 "%1 = norm %0 {axes [1] centre mean scale rms" USUAL
		 " gamma false beta false} : f64[N,4]\nreturn %1 \"y\"\n",
		 "ReduceMean Sub Mul ReduceMean Add Sqrt Div"},
		{"unbiased layer norm", 23,
		 NORM("N,3,4", "1,1,4", "2",
		      "centre mean scale rms epsilon 1e-05 place inside unbiased true"),
		 "ReduceMean Sub Mul ReduceSum Cast Div Add Sqrt Div Mul"},
		{"rms norm", 23, NORM("N,3,4", "1,1,4", "2", "centre none scale rms" USUAL),
		 "Reshape RMSNormalization"},
		{"rms norm below opset 23", 22,
		 NORM("N,3,4", "1,1,4", "2", "centre none scale rms" USUAL),
		 "normc.nn.RMSNormalization"},
		{"rms norm below opset 18", 17,
		 NORM("N,3,4", "1,1,4", "2", "centre none scale rms" USUAL),
		 "normc.nn.RMSNormalization"},
		{"rms norm in opset 18, whose means take axes as an operand", 18,
		 NORM("N,3,4", "1,3,4", "1,2", "centre none scale rms" USUAL),
		 "normc.nn.RMSNormalization"},
		{"rms norm below functions", 14,
		 NORM("N,3,4", "1,1,4", "2", "centre none scale rms" USUAL),
		 "Mul ReduceMean Add Sqrt Div Mul"},
		{"rms norm without scale, with bias, of f16", 20,
		 "graph \"g\"\n%0 = input \"x\" : f16[N,4]\n%1 = input \"b\" : f16[1,4]\n"
		 "%2 = norm %0 %1 {axes [1] centre none scale rms" USUAL
		 " gamma false beta true} : f16[N,4]\nreturn %2 \"y\"\n",
		 "normc.nn.RMSNormalization Add"},
#define GROUPS(split, parameter, axes, elem)                                                       \
	"graph \"g\"\n%0 = input \"x\" : " elem "[N,4,3,2]\n%1 = input \"p\" : " elem              \
	"[" parameter "]\n%2 = reshape %0 {to [" split "]} : " elem "[" split "]\n"                \
	"%3 = norm %2 %1 {axes [" axes "] centre mean scale rms" USUAL                             \
	" gamma true beta false} : " elem "[" split "]\n%4 = reshape %3 {to [N,4,3,2]} : " elem    \
	"[N,4,3,2]\nreturn %4 \"y\"\n"
		{"group norm", 23, GROUPS("N,2,2,3,2", "1,2,2,1,1", "2,3,4", "f32"),
		 "Reshape GroupNormalization"},
		{"group norm of f16", 21, GROUPS("N,2,2,3,2", "1,2,2,1,1", "2,3,4", "f16"),
		 "Reshape GroupNormalization"},
		{"group norm below opset 21", 20, GROUPS("N,2,2,3,2", "1,2,2,1,1", "2,3,4", "f32"),
		 "Reshape InstanceNormalization Mul Reshape"},
		{"group norm below opset 17", 13, GROUPS("N,2,2,3,2", "1,2,2,1,1", "2,3,4", "f32"),
		 "Reshape InstanceNormalization Mul Reshape"},
		{"group norm of f64", 23, GROUPS("N,2,2,3,2", "1,2,2,1,1", "2,3,4", "f64"),
		 "Reshape ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul Reshape"},
		{"group norm of f16 below opset 21", 20,
		 GROUPS("N,2,2,3,2", "1,2,2,1,1", "2,3,4", "f16"),
		 "Reshape LayerNormalization Mul Reshape"},
		{"pictures with a scale for each place", 23,
		 NORM("N,3,4,2", "1,1,4,2", "2,3", "centre mean scale rms" USUAL),
		 "Reshape LayerNormalization"},
		{"a scale for each group", 23, GROUPS("N,2,2,3,2", "1,2,1,1,1", "2,3,4", "f32"),
		 "Reshape Reshape InstanceNormalization Reshape"},
		{"groups of rows", 23, GROUPS("N,4,3,2", "1,4,3,1", "2,3", "f32"),
		 "Reshape InstanceNormalization Mul Reshape"},
		{"groups without their pictures", 23, GROUPS("N,2,2,6", "1,2,2,1", "3", "f32"),
		 "Reshape LayerNormalization Mul Reshape"},
		{"channels divided unlike groups", 23, GROUPS("N,8,3,1", "1,8,3,1", "2,3", "f32"),
		 "Reshape InstanceNormalization Mul Reshape"},
		{"norm of other axes", 23,
		 NORM("N,3,4", "1,3,1", "1", "centre mean scale rms" USUAL),
		 "ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul"},
		{"epsilon outside", 23,
		 NORM("N,3,4", "1,1,4", "2",
		      "centre mean scale rms epsilon 0.01 place outside unbiased false"),
		 "ReduceMean Sub Mul ReduceMean Sqrt Add Div Mul"},
		{"instance norm", 23, NORM("N,3,4", "1,3,1", "2", "centre mean scale rms" USUAL),
		 "Reshape InstanceNormalization"},
		{"batch norm", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,2,4]\n%1 = constant : f32[1,2,1] = [1, 2]\n"
		 "%2 = constant : f32[1,2,1] = [3, 4]\n%3 = norm %0 %1 %2 %1 %2 {axes [] centre "
		 "given "
		 "scale given epsilon 1e-05 place inside unbiased false gamma true beta true} : "
		 "f32[N,2,4]\nreturn %3 \"y\"\n",
		 "BatchNormalization"},
		{"one unknown extent", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,3,4]\n%1 = reshape %0 {to [N*3,4]} : "
		 "f32[N*3,4]\n"
		 "return %1 \"y\"\n",
		 "Reshape"},
		{"an extent that is kept", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,M,4]\n%1 = reshape %0 {to [N,M*4]} : "
		 "f32[N,M*4]\n"
		 "return %1 \"y\"\n",
		 "Reshape"},
		{"extents that must be computed", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,M]\n%1 = reshape %0 {to [M,N]} : f32[M,N]\n"
		 "return %1 \"y\"\n",
		 "Shape Gather Gather Concat Reshape"},
		{"a quotient that is rounded down", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,M]\n"
		 "%1 = dims {rank 1 value [(N - 5) floordiv M,(N - 5) mod M]} : i64[2]\nreturn %1 "
		 "\"y\"\n",
		 "Shape Gather Add Gather Max Mod Sub Div Max Mod Concat"},
		{"backwards to the first element", 23,
		 "graph \"g\"\n%0 = input \"m\" : f32[M]\n%1 = input \"x\" : f32[N]\n"
		 "%2 = slice %1 {start [N - 2] extent [M] step [-1]} : f32[M]\nreturn %2 \"y\"\n",
		 "Shape Gather Add Shape Gather Mul Add Slice"},
		{"the greatest", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n"
		 "%1 = call %0 {name \"topk\" ints [1,1] floats []} : (f32[N,3], i64[N,3])\n"
		 "%2 = part %1 {index 0} : f32[N,3]\n%3 = part %1 {index 1} : i64[N,3]\n"
		 "return %2 \"y\", %3 \"at\"\n",
		 "TopK"},
		{"only the places of the greatest", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n"
		 "%1 = call %0 {name \"topk\" ints [1,0] floats []} : (f32[N,3], i64[N,3])\n"
		 "%2 = part %1 {index 1} : i64[N,3]\n%3 = neg %2 : i64[N,3]\n"
		 "return %3 \"y\", %2 \"at\"\n",
		 "TopK Neg"},
		{"running sums", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n"
		 "%1 = call %0 {name \"cumsum\" ints [1,1,1,0] floats []} : f32[N,4]\n"
		 "return %1 \"y\"\n",
		 "CumSum"},
		{"resize to sizes", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[1,1,N,4]\n"
		 "%1 = call %0 {name \"resize\" ints [2,0,0,0,0] floats [-0.75,0,0,0,0,0]} : "
		 "f32[1,1,N*3,7]\nreturn %1 \"y\"\n",
		 "Shape Gather Mul Concat Resize"},
		{"resize by scales", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[1,1,N,4]\n"
		 "%1 = call %0 {name \"resize\" ints [0,4,2,0,0] floats [-0.75,0,0,0,2,1.5]} : "
		 "f32[1,1,N*2,6]\nreturn %1 \"y\"\n",
		 "Resize"},
		{"recurrent layer without bias", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,2,3]\n%1 = input \"w\" : f32[1,4,3]\n"
		 "%2 = input \"r\" : f32[1,4,1]\n%3 = constant : u8[0] = []\n"
		 "%4 = call %0 %1 %2 %3 %3 %3 %3 %3 {name \"lstm\" ints [1,0,0,7,1,1] "
		 "floats [0,0.3,0.4,0,0,0,0]} : (f32[N,1,2,1], f32[1,2,1], f32[1,2,1])\n"
		 "%5 = part %4 {index 0} : f32[N,1,2,1]\n%6 = part %4 {index 2} : f32[1,2,1]\n"
		 "return %5 \"y\", %6 \"c\"\n",
		 "LSTM"},
		{"pooling with places", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,1,5]\n"
		 "%1 = call %0 {name \"max_pool\" ints [0,3,2,1,1] floats []} : "
		 "(f32[N,1,3], i64[N,1,3])\n%2 = part %1 {index 0} : f32[N,1,3]\n"
		 "%3 = part %1 {index 1} : i64[N,1,3]\nreturn %2 \"y\", %3 \"at\"\n",
		 "MaxPool"},
		{"scattering", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[1,5]\n%1 = input \"at\" : i64[1,2]\n"
		 "%2 = input \"new\" : f32[1,2]\n%3 = call %0 %1 %2 {name \"scatter_elements\" "
		 "ints [1,1] floats []} : f32[1,5]\nreturn %3 \"y\"\n",
		 "ScatterElements"},
		{"sampling", 18,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,1,4,4]\n%1 = input \"at\" : f32[N,6,6,2]\n"
		 "%2 = call %0 %1 {name \"grid_sample\" ints [0,2,1] floats []} : f32[N,1,6,6]\n"
		 "return %2 \"y\"\n",
		 "GridSample"},
		{"spectrum", 19,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,6,1]\n"
		 "%1 = call %0 {name \"dft\" ints [1,0,1,6] floats []} : f32[N,4,2]\nreturn %1 "
		 "\"y\"\n",
		 "DFT"},
		{"quantization in blocks", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[N,4]\n%1 = input \"s\" : f32[N,2]\n"
		 "%2 = constant : u8[0] = []\n%3 = call %0 %1 %2 {name \"quantize_linear\" "
		 "ints [1,2,1,0] floats []} : i8[N,4]\nreturn %3 \"y\"\n",
		 "QuantizeLinear"},
		{"powers of small integers", 14,
		 "graph \"g\"\n%0 = input \"x\" : u8[3]\n%1 = pow %0 %0 : u8[3]\nreturn %1 \"y\"\n",
		 "Cast Pow Cast"},
		{"powers of i64", 13,
		 "graph \"g\"\n%0 = input \"x\" : i64[3]\n%1 = pow %0 %0 : i64[3]\nreturn %1 "
		 "\"y\"\n",
		 "Pow"},
		{"the place of the first that is true", 13,
		 "graph \"g\"\n%0 = input \"x\" : bool[N,4]\n%1 = argmax %0 {axis 1 last false} : "
		 "i64[N,1]\nreturn %1 \"y\"\n",
		 "Cast ArgMax"},
		{"a scalar transposed", 13,
		 "graph \"g\"\n%0 = input \"x\" : f32[]\n%1 = transpose %0 {perm []} : f32[]\n"
		 "return %1 \"y\"\n",
		 "Identity"},
		{"outputs that are inputs and numbers, and one value twice", 23,
		 "graph \"g\"\n%0 = input \"x\" : f32[3]\n%1 = constant : f32[2] = [1, 2]\n"
		 "%2 = abs %0 : f32[3]\nreturn %0 \"a\", %1 \"b\", %2 \"c\", %2 \"d\"\n",
		 "Abs Identity Identity Identity"},
};

/* Writes for the least opset from `own` on. */
static void try_sample(const struct sample *sample, int32_t own)
{
	struct export_request request = {.opset = own, .cap = sample->cap};
	struct written w;
	struct maker *m = calloc(1, sizeof *m);
	char operators[500];
	void *opened;
	assert_non_null(m);
	bench_open(&opened);
	m->b = opened;
	m->g = graph_parse(&m->b->context, sample->text);
	if (!m->g || !roundtrip_write(m->g, &request, &w))
		fail_msg("%s", m->b->diag.first);
	for (int i = 0; i < SYMBOLS; i++)
		m->size[i] = 2 + i;
	for (uint32_t i = 0; i < m->g->n_inputs; i++)
		m->of[i] = (struct values){.low = -2, .high = 2};
	struct fixture *f = roundtrip_read(&w);
	roundtrip_operators(f, operators, sizeof operators);
	assert_string_equal(operators, sample->operators);
	assert_true(w.summary.opset <= sample->cap);
	roundtrip_compare(m, f, 1e-6);
	fixture_close(f);
	free(w.bytes);
	bench_close(&opened);
	free(m);
}

static void test_sample(void **state)
{
	const struct sample *sample = *state;
	try_sample(sample, EXPORT_OPSET_FIRST);
	try_sample(sample, sample->cap);
}

int main(void)
{
	enum { N = sizeof samples / sizeof *samples };
	struct CMUnitTest tests[N];
	memset(tests, 0, sizeof tests);
	for (size_t i = 0; i < N; i++) {
		tests[i].name = samples[i].name;
		tests[i].test_func = test_sample;
		tests[i].initial_state = (void *)(uintptr_t)&samples[i];
	}
	return _cmocka_run_group_tests("export_match", tests, N, NULL, NULL);
}
