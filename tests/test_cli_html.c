/* `normc inspect --html` from outside: the page is whole and well-formed, holds what it should and
 * nothing that a model's names could make of it, and is refused where it would do harm.  That a
 * browser shows it is for tests/docs/page.py.
 */
#define _GNU_SOURCE
#include <stdbool.h>

#include "test_cli.h"

#define VIT NORMC_SOURCE_DIR "/tests/models/fashion_vit.onnx"

enum { PAGE_BYTES = 24 << 20 };

/* ---- models ---- */

/* LayerNorm over the last axis of f32[N,3], then a product; `name` is in all names. */
static void make_norm_model(struct bytes *model, const char *name)
{
	static const float ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, betas[3] = {0, 1, 2};
	struct bytes graph = {.n = 0}, node = {.n = 0}, tensor, opset = {.n = 0};
	char input[300], middle[300], output[300], weights[300];
	snprintf(input, sizeof input, "%s in", name);
	snprintf(middle, sizeof middle, "%s middle", name);
	snprintf(output, sizeof output, "%s out", name);
	snprintf(weights, sizeof weights, "%s W", name);
	put_text(&node, 1, input);
	put_text(&node, 1, "gamma");
	put_text(&node, 1, "beta");
	put_text(&node, 2, middle);
	put_text(&node, 3, name);
	put_text(&node, 4, "LayerNormalization");
	put_message(&graph, 1, &node);
	node.n = 0;
	put_text(&node, 1, middle);
	put_text(&node, 1, weights);
	put_text(&node, 2, output);
	put_text(&node, 3, name);
	put_text(&node, 4, "MatMul");
	put_message(&graph, 1, &node);
	put_text(&graph, 2, name);
	make_tensor(&tensor, weights, ones, 3);
	put_message(&graph, 5, &tensor);
	for (int i = 0; i < 2; i++) {
		tensor.n = 0;
		put_integer(&tensor, 1, 3);
		put_integer(&tensor, 2, 1);
		put_text(&tensor, 8, i ? "beta" : "gamma");
		put_bytes(&tensor, 9, i ? betas : ones, 3 * sizeof *ones);
		put_message(&graph, 5, &tensor);
	}
	put_value(&graph, 11, input);
	put_value(&graph, 12, output);
	put_integer(&opset, 2, 17);
	model->n = 0;
	put_integer(model, 1, 8);
	put_message(model, 7, &graph);
	put_message(model, 8, &opset);
}

/* A chain of sines, written node by node. */
static void write_chain(const struct place *place, const char *name, int length)
{
	struct bytes node, message, ends = {.n = 0}, opset = {.n = 0};
	char path[1024], from[20] = "x", to[20];
	unsigned char *graph = malloc((size_t)length * 64 + 1000);
	size_t n = 0;
	assert_non_null(graph);
	for (int i = 0; i < length; i++) {
		snprintf(to, sizeof to, "v%d", i);
		node = (struct bytes){.n = 0};
		put_text(&node, 1, from);
		put_text(&node, 2, i + 1 < length ? to : "y");
		put_text(&node, 4, "Sin");
		message = (struct bytes){.n = 0};
		put_message(&message, 1, &node);
		memcpy(graph + n, message.data, message.n);
		n += message.n;
		memcpy(from, to, sizeof from);
	}
	put_text(&ends, 2, "chain");
	put_value(&ends, 11, "x");
	put_value(&ends, 12, "y");
	memcpy(graph + n, ends.data, ends.n);
	n += ends.n;
	message = (struct bytes){.n = 0};
	put_integer(&message, 1, 8);
	put_integer(&opset, 2, 17);
	put_message(&message, 8, &opset);
	put_number(&message, 7 << 3 | 2);
	put_number(&message, n);
	path_in(place, name, path);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(message.data, 1, message.n, file), message.n);
	assert_int_equal(fwrite(graph, 1, n, file), n);
	fclose(file);
	free(graph);
}

/* ---- pages ---- */

static char *read_page(const struct place *place)
{
	char *page = malloc(PAGE_BYTES);
	assert_non_null(page);
	long n = read_file(place, "page.html", page, PAGE_BYTES);
	if (n <= 0)
		fail_msg("there is no page: %s", place->err);
	assert_int_equal(strlen(page), n);
	return page;
}

static bool is_word(const char *name, size_t n, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == n && !strncmp(*words, name, n))
			return true;
	return false;
}

/* Fails unless every element is closed by its own end, with quoted attributes. */
static void check_elements(const char *page)
{
	static const char *const void_elements[] = {"meta", "br", "input", NULL};
	static const char *const raw_elements[] = {"script", "style", NULL};
	struct {
		const char *name;
		size_t n;
	} open[100];
	int depth = 0;
	for (const char *p = strchr(page, '<'); p; p = strchr(p, '<')) {
		const char *name = p + 1 + (p[1] == '/');
		size_t n = strcspn(name, " />\n");
		const char *end = name + n;
		for (bool quoted = false; quoted || *end != '>'; end++) {
			quoted ^= *end == '"';
			assert_true(*end && *end != '<');
		}
		if (p[1] == '/') {
			if (!depth-- || open[depth].n != n || strncmp(open[depth].name, name, n))
				fail_msg("not the end of what is open: %.60s", p);
		} else if (p[1] != '!' && end[-1] != '/' && !is_word(name, n, void_elements)) {
			assert_true(depth < 100);
			open[depth].name = name;
			open[depth++].n = n;
			while (is_word(name, n, raw_elements) && strncmp(end + 1, "</", 2))
				end++;
		}
		p = end;
	}
	assert_int_equal(depth, 0);
}

/* Nothing comes from elsewhere. */
static void check_alone(const char *page)
{
	static const char *const ways[] = {"http:", "https:", " src=", "@import",
					   "url(h", "<link",  "<img",  "<iframe"};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (strstr(page, ways[i]))
			fail_msg("the page has '%s'", ways[i]);
}

static int count_of(const char *text, const char *what)
{
	int n = 0;
	for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
		n++;
	return n;
}

/* ---- tests ---- */

static void test_page(void **state)
{
	struct place *place = *state;
	struct bytes model;
	make_norm_model(&model, "/block/norm");
	write_file(place, "m.onnx", model.data, model.n);
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--html", "page.html"), 0);
	char *page = read_page(place);
	check_elements(page);
	check_alone(page);
	assert_says(page, ">LayerNormalization</text>");
	assert_says(page, ">LayerNorm</text>"); /* gamma and beta are in the product */
	assert_says(page, "LayerNorm γ β → LayerNorm</span>");
	assert_says(page, "<summary>absorb <span class=\"done\">✓ 1</span>");
	assert_says(page, "<summary>recentre <span class=\"missed\">✗ 1</span>");
	assert_says(page, "its stream comes from input");
	assert_says(page, "N×3 · W 3×3</text>");
	assert_says(page, "name\":\"/block/norm in\"");
	assert_says(page, "<g id=\"b1\" class=\"box norm done missed\" data-s=\"1\"");
	assert_says(page, "<g id=\"a1\" class=\"box norm done missed\" data-s=\"1\"");
	free(page);
}

/* Each remark that is printed is on the page too. */
static void test_remarks(void **state)
{
	struct place *place = *state;
	char rule[80], begins[200];
	int rules = 0;
	assert_int_equal(run_normc(place, "inspect", VIT, "--html", "page.html", "--remarks"), 0);
	char *page = read_page(place);
	check_elements(page);
	check_alone(page);
	assert_true(strlen(page) < 400000);
	for (const char *line = place->out; *line; line += strcspn(line, "\n") + 1, rules++) {
		assert_int_equal(sscanf(line, "%*s %79[^:]", rule), 1);
		snprintf(begins, sizeof begins, "<summary>%s <span", rule);
		assert_says(page, begins);
	}
	assert_true(rules > 20);
	assert_int_equal(count_of(page, "LayerNorm γ β → RMSNorm"), 9);
	assert_says(page, "<th scope=\"row\">LayerNorm</th><td>9</td><td>0</td>");
	free(page);
	assert_int_equal(run_normc(place, "inspect", VIT, "--html", "page.html", "--passes",
				   "-recentre", "--remarks=r.json", "--graph"),
			 0);
	page = read_page(place);
	assert_null(strstr(page, "RMSNorm"));
	assert_says(page, "LayerNorm γ β → LayerNorm<");
	assert_says(place->out, "graph \"");
	assert_true(read_file(place, "r.json", rule, sizeof rule) > 0);
	free(page);
}

static void test_missed(void **state)
{
	struct place *place = *state;
	struct bytes model;
	make_model(&model, "Add", "x", "y"); /* no candidate at all */
	write_file(place, "m.onnx", model.data, model.n);
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--html", "page.html"), 0);
	char *page = read_page(place);
	check_elements(page);
	assert_says(page, "The rewrites found nothing to do.");
	assert_says(page, "<g id=\"b1\" class=\"box elementwise\" data-s=\"1\"");
	free(page);
}

static void test_hostile_names(void **state)
{
	static const char *const names[] = {"</script><script>alert(1)//",
					    "\"><script>alert(1)</script>",
					    "' onload=alert(1) '",
					    "]]><!-- <style>",
					    "</title></svg></text><script>alert(1)",
					    "\\\\\\\" \\u003c \t\n\x01 \xe2\x80\xa8 \xe2\x80\xae"};
	struct place *place = *state;
	struct bytes model;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		make_norm_model(&model, names[i]);
		write_file(place, "m.onnx", model.data, model.n);
		if (run_normc(place, "inspect", "m.onnx", "--html", "page.html"))
			fail_msg("%s", place->err);
		char *page = read_page(place);
		check_elements(page);
		assert_int_equal(count_of(page, "<script"), 2);
		assert_int_equal(count_of(page, "<!"), 1); /* the document type */
		assert_null(strstr(page, "<script>alert"));
		assert_null(strchr(page, 1));
		assert_null(strstr(page, "\xe2\x80\xae"));
		free(page);
	}
}

static void test_limit(void **state)
{
	struct place *place = *state;
	write_chain(place, "long.onnx", 20500);
	assert_int_equal(run_normc(place, "inspect", "long.onnx", "--html", "page.html"), 0);
	char *page = read_page(place);
	assert_says(page, "Not everything is drawn: 1004 operations lie beyond the limit");
	assert_int_equal(count_of(page, "<g id=\"b"), 20000);
	free(page);
	write_chain(place, "long.onnx", 300);
	assert_int_equal(run_normc(place, "inspect", "long.onnx", "--html", "page.html"), 0);
	page = read_page(place);
	assert_null(strstr(page, "Not everything is drawn"));
	assert_int_equal(count_of(page, "<g id=\"b"), 302);
	free(page);
}

static void test_refused(void **state)
{
	struct place *place = *state;
	struct bytes model;
	char same[5000];
	make_norm_model(&model, "m");
	write_file(place, "m.onnx", model.data, model.n);
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--html", "./m.onnx"), 2);
	assert_says(place->err, "--html ./m.onnx would overwrite the model");
	assert_int_equal(read_file(place, "m.onnx", same, sizeof same), model.n);
	assert_memory_equal(same, model.data, model.n);
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--html", "page.html",
				   "--remarks=page.html"),
			 2);
	assert_says(place->err, "--remarks page.html would overwrite --html page.html");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--html", "none/page.html"), 5);
	assert_int_equal(run_normc(place, "inspect", "none.onnx", "--html", "page.html"), 5);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.o", "--html", "p"), 2);
	assert_int_equal(read_file(place, "page.html", same, sizeof same), -1);
}

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
	const struct CMUnitTest tests[] = {
			PLACE_TEST(test_page),		PLACE_TEST(test_remarks),
			PLACE_TEST(test_missed),	PLACE_TEST(test_limit),
			PLACE_TEST(test_hostile_names), PLACE_TEST(test_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
