/* The text form of graphs: what is printed parses back to the same text, errors name their line,
 * and every file of tests/ir holds.
 *
 * Such a file has "# pass: NAME" in its first line, a graph, a line "# =>", and the text that is
 * printed after the pass, or the reports if there is no graph then.  Pass "none" changes nothing.
 * `test_text --update` writes what is printed into the files; review the difference.
 */
#include <glob.h>

#include "pass.h"
#include "test_ir.h"

enum { MAX_ELEMENTS = 64, MAX_FILES = 500 };

/* ---- text that grows ---- */

struct output {
	char *text;
	size_t length;
};

static void append(void *user, const char *s)
{
	struct output *o = user;
	size_t n = strlen(s);
	o->text = realloc(o->text, o->length + n + 1);
	assert_non_null(o->text);
	memcpy(o->text + o->length, s, n + 1);
	o->length += n;
}

/* The caller frees it. */
static char *printed(const struct graph *g)
{
	struct output o = {NULL, 0};
	append(&o, "");
	graph_print(g, MAX_ELEMENTS, append, &o);
	return o.text;
}

/* ---- files ---- */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct output o = {NULL, 0};
	char piece[4096];
	assert_non_null(file);
	append(&o, "");
	while (fgets(piece, sizeof(piece), file))
		append(&o, piece);
	fclose(file);
	return o.text;
}

static void write_file(const char *path, const char *start, size_t n_start, const char *rest)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(start, 1, n_start, file), n_start);
	assert_int_equal(fwrite(rest, 1, strlen(rest), file), strlen(rest));
	assert_int_equal(fclose(file), 0);
}

/* What the file's graph becomes, as text. */
static char *result_of(struct ir_fixture *f, const char *pass, const char *text)
{
	struct graph *g = graph_parse(&f->context, text);
	if (g && strcmp(pass, "none"))
		g = pass_by_name(pass, g);
	if (g && f->diag.errors == 0) {
		assert_true(graph_verify(g));
		return printed(g);
	}
	char *lines = strdup(f->lines);
	assert_non_null(lines);
	return lines;
}

struct file {
	const char *path;
	bool update;
};

static void test_file(void **state)
{
	static const char arrow[] = "\n# =>\n";
	const struct file *file = *state;
	struct ir_fixture f;
	char *text = read_file(file->path), *split = strstr(text, arrow), pass[64];
	ir_open(&f);
	if (sscanf(text, "# pass: %63s", pass) != 1 || !split)
		fail_msg("%s: needs '# pass: NAME' in its first line and a line '# =>'",
			 file->path);
	char *expected = split + strlen(arrow);
	size_t start = (size_t)(expected - text);
	split[1] = 0;
	char *result = result_of(&f, pass, text);
	split[1] = '#';
	if (file->update)
		write_file(file->path, text, start, result);
	else if (strcmp(result, expected)) {
		fputs(result, stderr); /* cmocka cuts long messages */
		fail_msg("%s: something else is printed", file->path);
	}
	free(result);
	free(text);
	ir_close(&f);
}

/* ---- round trips ---- */

static void assert_round_trip(struct ir_fixture *f, const struct graph *g)
{
	char *first = printed(g);
	struct graph *parsed = graph_parse(&f->context, first);
	if (!parsed)
		fail_msg("%s\n%s", f->lines, first);
	char *second = printed(parsed);
	assert_string_equal(second, first);
	assert_true(graph_verify(parsed));
	free(first);
	free(second);
}

static void test_constants(void **state)
{
	struct ir_fixture *f = *state;
	uint64_t seed = 3;
#define X(name, code, bits, text) name,
	static const enum normc_elem elems[] = {NORMC_ELEM_LIST(X)};
#undef X
	for (size_t i = 0; i < sizeof(elems) / sizeof(*elems); i++) {
		size_t size = normc_elem_size(elems[i]);
		unsigned char *data = arena_alloc(f->context.arena, MAX_ELEMENTS, size);
		int bits = elem_bits(elems[i]), spare = bits < 8 ? 8 - bits : 0;
		for (size_t k = 0; k < MAX_ELEMENTS * size; k++)
			data[k] = (unsigned char)test_random(&seed);
		for (size_t k = 0; k < MAX_ELEMENTS && spare; k++) /* extended from its bits */
			data[k] = elem_is_signed(elems[i]) && !elem_is_float(elems[i])
						  ? (unsigned char)((signed char)(data[k]
										  << spare) /
								    (1 << spare))
						  : (unsigned char)(data[k] >> spare);
		for (size_t k = 0; k < MAX_ELEMENTS && elems[i] == NORMC_BOOL; k++)
			data[k] &= 1;
		struct type type = type_fixed(&f->context, elems[i], 2,
					      (const int64_t[]){4, MAX_ELEMENTS / 4});
		graph_output(f->g, build_constant(f->g, &type, data, MAX_ELEMENTS * size), "c");
	}
	assert_round_trip(f, f->g);
}

static void test_large_constants_print_as_hash(void **state)
{
	struct ir_fixture *f = *state;
	static const float data[100] = {1};
	struct type type = type_fixed(&f->context, NORMC_F32, 1, (const int64_t[]){100});
	graph_output(f->g, build_constant(f->g, &type, data, sizeof(data)), "c");
	char *text = printed(f->g);
	assert_non_null(strstr(text, "%0 = constant : f32[100] = hash "));
	assert_non_null(strstr(text, " bytes 400\n"));
	struct graph *g = graph_parse(&f->context, text);
	assert_non_null(g);
	assert_int_equal(((const float *)g->outputs[0]->attr.data->p)[0], 0);
	free(text);
}

static void test_element_symbols(void **state)
{
	struct ir_fixture *f = *state;
	const char *text = "graph \"g\"\n"
			   "%0 = input \"x\" : f32[N,4]\n"
			   "%1 = input \"k\" : i64[1] = [k]\n"
			   "%2 = add %1 %1 : i64[1]\n"
			   "return %2 \"y\"\n";
	struct graph *g = graph_parse(&f->context, text);
	assert_non_null(g);
	const struct symbol *s = f->context.dims->symbols;
	assert_int_equal(f->context.dims->n_symbols, 2);
	assert_string_equal(s[0].name, "N");
	assert_false(s[0].element);
	assert_true(s[1].element && s[1].input == 1 && s[1].index == 0);
	assert_int_equal(g->outputs[0]->op, OP_dims);
	assert_round_trip(f, g);
}

static void test_regions(void **state)
{
	struct ir_fixture *f = *state;
	const char *text = "graph \"g\"\n"
			   "%0 = input \"c\" : bool[]\n"
			   "%1 = input \"n\" : i64[] = [n]\n"
			   "%2 = input \"x\" : f32[N,4]\n"
			   "%3 = if %0 %2 {carried 0 trips []} {\n"
			   "  graph \"then\"\n"
			   "  %0 = input \"a\" : f32[N,4]\n"
			   "  %1 = exp %0 : f32[N,4] ; n2\n"
			   "  return %1 \"y\", %0 \"z\"\n"
			   "} {\n"
			   "  graph \"else\"\n"
			   "  %0 = input \"a\" : f32[N,4]\n"
			   "  return %0 \"y\", %0 \"z\"\n"
			   "} : (f32[N,4], f32[N,4])\n"
			   "%4 = part %3 {index 1} : f32[N,4]\n"
			   "%5 = loop %1 %0 %4 {carried 1 trips [max(0, n)]} {\n"
			   "  graph \"body\"\n"
			   "  %0 = input \"i\" : i64[]\n"
			   "  %1 = input \"c\" : bool[]\n"
			   "  %2 = input \"a\" : f32[N,4]\n"
			   "  %3 = tanh %2 : f32[N,4]\n"
			   "  return %1 \"c\", %3 \"a\", %2 \"s\"\n"
			   "} : (f32[N,4], f32[max(0, n),N,4])\n"
			   "%6 = part %5 {index 1} : f32[max(0, n),N,4]\n"
			   "%7 = call %6 {name \"topk\" ints [1,-2] floats [0.5,inf]} : "
			   "(f32[max(0, n),N,2], i64[2]) ; n9\n"
			   "%8 = part %7 {index 0} : f32[max(0, n),N,2]\n"
			   "return %8 \"y\"\n";
	struct graph *g = graph_parse(&f->context, text);
	if (!g)
		fail_msg("%s", f->lines);
	char *again = printed(g);
	assert_string_equal(again, text);
	free(again);
	assert_round_trip(f, g);
	ir_assert_lines(f, "");
}

/* ---- errors ---- */

static void test_errors(void **state)
{
	static const char *const cases[][2] = {
			{"", "line 1: 'graph' expected at ''"},
			{"graph", "line 1: '\"' expected at ''"},
			{"graph \"g\"\n%0 = input \"x\" : f32[N", "line 2: ',' expected at ''"},
			{"graph \"g\"\n%0 = input \"x\" : f33[N]",
			 "line 2: there is no element type 'f33'"},
			{"graph \"g\"\n\n%1 = input", "line 3: %1 where %0 is next"},
			{"graph \"g\"\n%0 = nonsense", "line 2: there is no operation 'nonsense'"},
			{"graph \"g\"\n%0 = neg %0 : f32[]", "line 2: %0 is not defined"},
			{"graph \"g\"\n%0 = iota {axis 0} : i64[N]",
			 "line 2: a symbol that no input defines at ']'"},
			{"graph \"g\"\n%0 = iota {axes 0} : i64[2]",
			 "line 2: 'axis' expected at 'axes 0} : i64[2]'"},
			{"graph \"g\"\n%0 = constant : f32[2] = [1]",
			 "line 2: ',' expected at ']'"},
			{"graph \"g\"\n%0 = constant : f32[99999999999] = [1]",
			 "line 2: elements are missing"},
			{"graph \"g\"\n%0 = constant : i8[1] = [200]",
			 "line 2: element 0 is out of range"},
			{"graph \"g\"\n%0 = input \"x\" : f32[2]\n%1 = exp %0 : f32[3]",
			 "line 3: the type is f32[2], not f32[3]"},
			{"graph \"g\"\n%0 = input \"x\" : i64[2]\n%1 = exp %0 : i64[2]",
			 "exp: operand 0 of type i64[2] must have a floating-point type\nerror: "
			 "line 3: 'exp' cannot be built"},
			{"graph \"g\"\n%0 = input \"x\" : f32[2]\n%1 = cast %0 {to f99 wrap false} "
			 ": f32[2]",
			 "line 3: 'to' cannot have this value"},
			{"graph \"g\"\n%0 = input \"x\" : f32[2]\n%1 = transpose %0 {perm [0,1]} : "
			 "f32[2]",
			 "line 3: 'perm' cannot have this value"},
			{"graph \"g\"\nreturn %0 \"y\"", "line 2: %0 is not defined"},
			{"graph \"g\"\nreturn\nmore", "line 3: 'more' after the end"},
	};
	struct ir_fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char expected[300];
		snprintf(expected, sizeof(expected), "error: %s\n", cases[i][1]);
		assert_null(graph_parse(&f->context, cases[i][0]));
		ir_assert_lines(f, expected);
	}
}

/* Cutting, doubling and replacing characters never does worse than a report. */
static void test_damaged_text(void **state)
{
	struct file *file = *state;
	char *text = read_file(file->path);
	size_t length = strlen(text);
	uint64_t seed = 11;
	for (int round = 0; round < 3000; round++) {
		struct ir_fixture f;
		char *copy = malloc(length + 1);
		assert_non_null(copy);
		memcpy(copy, text, length + 1);
		for (uint64_t k = test_random_below(&seed, 4); k < 4; k++) {
			size_t at = (size_t)test_random_below(&seed, length);
			copy[at] = text[test_random_below(&seed, length)];
			if (test_random_below(&seed, 20) == 0)
				copy[at] = 0;
		}
		ir_open(&f);
		graph_parse(&f.context, copy);
		ir_close(&f);
		free(copy);
	}
	free(text);
}

static void run_files(bool update, struct CMUnitTest *tests, size_t *n, struct file *files)
{
	glob_t found;
	static char paths[MAX_FILES][300];
	if (glob(NORMC_SOURCE_DIR "/tests/ir/*.ir", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc && i < MAX_FILES; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s", found.gl_pathv[i]);
		files[i] = (struct file){paths[i], update};
		tests[(*n)++] = (struct CMUnitTest){strrchr(paths[i], '/') + 1, test_file, NULL,
						    NULL, &files[i]};
	}
	globfree(&found);
}

int main(int argc, char **argv)
{
	static struct CMUnitTest files_tests[MAX_FILES];
	static struct file files[MAX_FILES];
	static struct file sample = {NORMC_SOURCE_DIR "/tests/ir/every_operation.ir", false};
	size_t n = 0;
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_constants, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_large_constants_print_as_hash,
							ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_element_symbols, ir_setup,
							ir_teardown),
			cmocka_unit_test_setup_teardown(test_regions, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_errors, ir_setup, ir_teardown),
			cmocka_unit_test_prestate(test_damaged_text, &sample),
	};
	run_files(argc > 1 && !strcmp(argv[1], "--update"), files_tests, &n, files);
	int failed = _cmocka_run_group_tests("files", files_tests, n, NULL, NULL);
	return failed + cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
