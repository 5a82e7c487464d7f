/* Helpers for tests, over cmocka: comparing arrays, random numbers from a seed, a folder for files.
 *
 * A comparison that fails prints the first bad element and the worst one, then fails the test. Not
 * a number equals not a number; infinities must agree. All functions are for single-threaded tests.
 */
#ifndef NORMC_TEST_H
#define NORMC_TEST_H

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- random numbers: splitmix64; the state is the seed ---- */

static inline uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* In [0, limit); limit > 0.  The bias is below limit / 2^64. */
static inline uint64_t test_random_below(uint64_t *state, uint64_t limit)
{
	return test_random(state) % limit;
}

/* In [low, high), with 53 random bits. */
static inline double test_random_range(uint64_t *state, double low, double high)
{
	return low + (high - low) * ((double)(test_random(state) >> 11) * 0x1p-53);
}

static inline void test_random_floats(uint64_t *state, float *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (float)test_random_range(state, -1, 1);
}

/* ---- comparing ---- */

/* Steps between two floats on the line of representable numbers; UINT32_MAX if only one is a
 * number. */
static inline uint32_t test_ulps(float a, float b)
{
	int32_t x, y;
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b) ? 0 : UINT32_MAX;
	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	int64_t from = x < 0 ? (int64_t)INT32_MIN - x : x;
	int64_t to = y < 0 ? (int64_t)INT32_MIN - y : y;
	return (uint32_t)(from < to ? to - from : from - to);
}

/* |a - b|, 0 for equal infinities or two NaNs, infinity where they disagree about those. */
static inline double test_distance(double a, double b)
{
	if (a == b || (isnan(a) && isnan(b)))
		return 0;
	double d = fabs(a - b);
	return isnan(d) ? INFINITY : d;
}

/* |got - want| <= absolute + relative * |want| for every element. */
static inline void test_close(const float *got, const float *want, size_t count,
		double absolute, double relative)
{
	size_t first = count, worst = 0;
	for (size_t i = 0; i < count; i++) {
		double d = test_distance((double)got[i], (double)want[i]);
		if (d > absolute + relative * (isfinite(want[i]) ? fabs((double)want[i]) : 0) &&
				first == count)
			first = i;
		if (d > test_distance((double)got[worst], (double)want[worst]))
			worst = i;
	}
	if (first < count)
		fail_msg("element %zu of %zu: got %.9g, want %.9g; worst %zu: got %.9g, want %.9g",
				first, count, (double)got[first], (double)want[first], worst,
				(double)got[worst], (double)want[worst]);
}

/* The largest difference is at most `relative` of the largest |want|: the measure for models. */
static inline void test_close_to_largest(const float *got, const float *want, size_t count,
		double relative)
{
	double largest = 0;
	for (size_t i = 0; i < count; i++)
		if (isfinite(want[i]) && fabs((double)want[i]) > largest)
			largest = fabs((double)want[i]);
	test_close(got, want, count, relative * largest, 0);
}

static inline void test_within_ulps(const float *got, const float *want, size_t count,
		uint32_t ulps)
{
	for (size_t i = 0; i < count; i++)
		if (test_ulps(got[i], want[i]) > ulps)
			fail_msg("element %zu of %zu: got %a, want %a: %u ulp, %u allowed", i,
					count, (double)got[i], (double)want[i],
					(unsigned)test_ulps(got[i], want[i]), (unsigned)ulps);
}

/* ---- files ---- */

/* Makes an empty folder and writes its path into `path`. */
static inline void test_folder_new(char *path, size_t bytes)
{
	const char *base = getenv("TMPDIR");
	int n = snprintf(path, bytes, "%s/normc-test-XXXXXX", base ? base : "/tmp");
	if (n < 0 || (size_t)n >= bytes || !mkdtemp(path))
		fail_msg("no temporary folder below %s", base ? base : "/tmp");
}

/* Removes a folder that test_folder_new made, with all that lies in it.  Follows no links. */
static inline void test_folder_free(const char *path)
{
	DIR *folder = opendir(path);
	if (!folder)
		return;
	for (struct dirent *entry; (entry = readdir(folder));) {
		char inner[4096];
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		int n = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (n < 0 || (size_t)n >= sizeof(inner))
			continue;
		if (unlink(inner))
			test_folder_free(inner);
	}
	closedir(folder);
	rmdir(path);
}

#endif
