/* ONNX's own cases after `normc opt`: what the importer takes is written, and gives the recorded
 * results.  The cases are in the folder NORMC_SHARED (standard: ../shared), if they are at hand.
 */
#define _GNU_SOURCE
#include "test_cli.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Links to all data sets of a case. */
static void link_data(const struct place *place, const char *from, const char *name)
{
	char link[1024 + 300], target[1024 + 300];
	for (int i = 0; i < 10; i++) {
		snprintf(target, sizeof target, "%s/test_data_set_%d", from, i);
		snprintf(link, sizeof link, "%s/cases/%s/test_data_set_%d", place->folder, name, i);
		if (!access(target, F_OK))
			assert_int_equal(symlink(target, link), 0);
	}
}

/* Rewrites the model of a case, with no later opset unless NULL; false if it is not supported. */
static bool rewrite_case(struct place *place, const char *from, const char *name, const char *opset)
{
	char folder[1024], model[1024 + 300], out[1024 + 300];
	snprintf(folder, sizeof folder, "%s/cases/%s", place->folder, name);
	snprintf(model, sizeof model, "%s/model.onnx", from);
	snprintf(out, sizeof out, "%s/model.onnx", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	int status = run_normc(place, "opt", model, "-o", out, opset ? "--opset" : NULL, opset);
	if (status && status != 4)
		fail_msg("%s: exit code %d: %s", name, status, place->err);
	if (status == 4 && strstr(place->err, "cannot be written"))
		fail_msg("%s: %s", name, place->err);
	if (status)
		rmdir(folder);
	else
		link_data(place, from, name);
	return !status;
}

/* All cases of a folder; at least `least` of them must be rewritten. */
static void try_cases(struct place *place, const char *folder, long least, const char *opset)
{
	const char *shared = getenv("NORMC_SHARED");
	char path[512], from[1024], cases[600];
	long passed = 0, failed = -1, unsupported, written = 0;
	snprintf(path, sizeof path, "%s/%s", shared ? shared : NORMC_SOURCE_DIR "/../shared",
		 folder);
	DIR *directory = opendir(path);
	if (!directory) {
		print_message("%s is not there\n", path);
		skip();
		return;
	}
	snprintf(cases, sizeof cases, "%s/cases", place->folder);
	assert_int_equal(mkdir(cases, 0700), 0);
	for (struct dirent *entry; (entry = readdir(directory));) {
		snprintf(from, sizeof from, "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			written += rewrite_case(place, from, entry->d_name, opset);
	}
	closedir(directory);
	run_normc(place, "check", "--quiet", "--interpret", "--limit", "120", "cases");
	char *last = memrchr(place->out, '\n', strlen(place->out) - 1);
	last = last ? last + 1 : place->out;
	if (sscanf(last, "%ld passed, %ld failed, %ld unsupported", &passed, &failed,
		   &unsupported) != 3 ||
	    failed)
		fail_msg("%.2000s%s", place->out, place->err);
	print_message("%ld rewritten: %s", written, last);
	assert_true(written >= least && passed + unsupported == written);
	assert_true(unsupported * 100 <= written); /* shapes that are computed from data */
}

static void test_real(void **state)
{
	try_cases(*state, "real", 2, NULL);
}

/* With a cap above their own opset. */
static void test_real_below(void **state)
{
	try_cases(*state, "real", 2, "15");
}

static void test_light(void **state)
{
	try_cases(*state, "onnx-tests/light", 9, NULL);
}

static void test_node(void **state)
{
	try_cases(*state, "onnx-tests/node", 1000, NULL);
}

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
	const struct CMUnitTest tests[] = {PLACE_TEST(test_real), PLACE_TEST(test_real_below),
					   PLACE_TEST(test_light), PLACE_TEST(test_node)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
