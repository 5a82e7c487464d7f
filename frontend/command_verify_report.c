/* The report of normc verify: as text, and as a file in JUnit's XML or JSON. */
#include "command.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verify.h"

bool report_path_is_known(const char *path)
{
	return path_ends(path, ".xml") || path_ends(path, ".json");
}

static const char *outcome_name(enum verify_outcome outcome)
{
	static const char *const names[] = {"passed", "failed", "not applicable"};
	return names[outcome];
}

/* ---- XML ---- */

/* Text that is fit for an attribute; XML knows no control characters. */
static void put_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		case '\n':
		case '\t':
			fputc(' ', file);
			break;
		default:
			fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, file);
		}
	}
}

static void put_attribute(FILE *file, const char *name, const char *text)
{
	fprintf(file, " %s=\"", name);
	put_escaped(file, text);
	fputc('"', file);
}

static void put_case(FILE *file, const struct verify_case *c)
{
	char lane[80];
	snprintf(lane, sizeof lane, "%s%s%s", verify_lane_name(c->lane), c->data[0] ? "." : "",
		 c->data);
	fputs("    <testcase", file);
	put_attribute(file, "classname", lane);
	put_attribute(file, "name", c->output);
	if (c->outcome == VERIFY_PASSED) {
		fputs("/>\n", file);
		return;
	}
	const char *kind = c->outcome == VERIFY_FAILED ? "failure" : "skipped";
	fprintf(file, ">\n      <%s", kind);
	put_attribute(file, "message", c->text);
	fputs("/>\n    </testcase>\n", file);
}

static void write_xml(FILE *file, const struct report_file *about, const struct verify_report *r)
{
	fprintf(file,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites>\n  <testsuite tests=\"%u\" failures=\"%u\" skipped=\"%u\"",
		r->n_cases, verify_count(r, VERIFY_FAILED), verify_count(r, VERIFY_NOT_APPLICABLE));
	put_attribute(file, "name", about->model);
	fputs(">\n    <properties>\n", file);
	fprintf(file, "      <property name=\"seed\" value=\"%.0f\"/>\n", about->seed);
	if (about->other) {
		fputs("      <property name=\"other\"", file);
		put_attribute(file, "value", about->other);
		fputs("/>\n", file);
	}
	fputs("    </properties>\n", file);
	for (uint32_t i = 0; i < r->n_cases; i++)
		put_case(file, &r->cases[i]);
	fputs("  </testsuite>\n</testsuites>\n", file);
}

/* ---- JSON ---- */

static cJSON *json_case(const struct verify_case *c)
{
	cJSON *o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "lane", verify_lane_name(c->lane));
	cJSON_AddStringToObject(o, "output", c->output);
	cJSON_AddStringToObject(o, "data", c->data);
	cJSON_AddStringToObject(o, "outcome", outcome_name(c->outcome));
	cJSON_AddStringToObject(o, "text", c->text);
	if (c->lane == LANE_FLOAT) {
		/* JSON has no infinity */
		if (isfinite(c->ratio))
			cJSON_AddNumberToObject(o, "error_over_bound", c->ratio);
		else
			cJSON_AddNullToObject(o, "error_over_bound");
		cJSON_AddNumberToObject(o, "bound_over_largest_value", c->tightness);
		cJSON_AddNumberToObject(o, "elements", (double)c->elements);
		cJSON_AddNumberToObject(o, "unchecked", (double)c->unchecked);
	}
	return o;
}

/* False if memory is out. */
static bool write_json(FILE *file, const struct report_file *about, const struct verify_report *r)
{
	cJSON *o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "model", about->model);
	if (about->other)
		cJSON_AddStringToObject(o, "other", about->other);
	cJSON_AddNumberToObject(o, "seed", about->seed);
	cJSON_AddNumberToObject(o, "passed", verify_count(r, VERIFY_PASSED));
	cJSON_AddNumberToObject(o, "failed", verify_count(r, VERIFY_FAILED));
	cJSON_AddNumberToObject(o, "not_applicable", verify_count(r, VERIFY_NOT_APPLICABLE));
	cJSON *cases = cJSON_AddArrayToObject(o, "cases");
	for (uint32_t i = 0; i < r->n_cases; i++)
		cJSON_AddItemToArray(cases, json_case(&r->cases[i]));
	char *text = cases ? cJSON_Print(o) : NULL;
	if (text)
		fprintf(file, "%s\n", text);
	bool ok = text;
	cJSON_free(text);
	cJSON_Delete(o);
	return ok;
}

enum normc_status report_write(const struct report_file *about, const struct verify_report *r)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	struct output out;
	bool ok = true;
	if (!output_begin(&out, &diag, about->path))
		return diag.status;
	if (path_ends(about->path, ".xml"))
		write_xml(out.file, about, r);
	else
		ok = write_json(out.file, about, r);
	return output_end(&out, &diag, ok) ? NORMC_OK : diag.status;
}

/* ---- text ---- */

/* Rewrites that passed in the same way are one line for each rule. */
static bool print_rule(const struct verify_report *r, uint32_t at)
{
	const struct verify_case *c = &r->cases[at];
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->n_cases; i++) {
		const struct verify_case *d = &r->cases[i];
		bool same = d->lane == LANE_REWRITE && d->outcome == VERIFY_PASSED &&
			    !strcmp(c->data, d->data) && !strcmp(c->text, d->text);
		if (same && i < at)
			return true; /* told already */
		n += same;
	}
	if (n > 1)
		printf("rewrite    passed          %-13s  %u times%s%s\n", c->data, n,
		       c->text[0] ? ": " : "", c->text);
	return n > 1;
}

static void print_case(const struct verify_report *r, uint32_t at)
{
	static const char *const outcomes[] = {"passed", "FAILED", "not applicable"};
	const struct verify_case *c = &r->cases[at];
	if (c->lane == LANE_REWRITE && c->outcome == VERIFY_PASSED && print_rule(r, at))
		return;
	say(stdout, "%-9s  %-14s  %-13s  %s", verify_lane_name(c->lane), outcomes[c->outcome],
	    c->data, c->output);
	if (c->lane == LANE_FLOAT && c->outcome == VERIFY_PASSED)
		printf(": largest error %.2g of its bound, bounds to %.2g of the largest value",
		       c->ratio, c->tightness);
	bool has_ratio = c->lane == LANE_FLOAT || (c->lane == LANE_REWRITE && c->ratio > 0);
	if (has_ratio && c->outcome == VERIFY_FAILED && isfinite(c->ratio))
		printf(": error %.3g times its bound", c->ratio);
	if (c->lane == LANE_FLOAT && c->unchecked)
		printf(", %lld of %lld elements unchecked", (long long)c->unchecked,
		       (long long)c->elements);
	say(stdout, "%s%s\n", c->text[0] ? ": " : "", c->text);
}

/* Whose mistake a failure is, if no single rewrite was found wrong. */
static void print_blame(const struct verify_report *r)
{
	uint32_t passed = 0, others = 0;
	for (uint32_t i = 0; i < r->n_cases; i++) {
		const struct verify_case *c = &r->cases[i];
		if (c->lane != LANE_REWRITE)
			continue;
		if (c->outcome == VERIFY_FAILED)
			return;
		passed += c->outcome == VERIFY_PASSED;
		others += c->outcome != VERIFY_PASSED;
	}
	if (others)
		printf("a rewrite may have caused it (--remarks of `normc inspect` lists them; "
		       "--passes -NAME leaves a pass out)\n");
	else
		printf("%sthe code that was generated may be wrong\n",
		       passed ? "each rewrite is right; " : "");
}

void report_print(const struct verify_report *r, bool one_model)
{
	uint32_t failed = verify_count(r, VERIFY_FAILED);
	for (uint32_t i = 0; i < r->n_cases; i++)
		print_case(r, i);
	if (failed && one_model)
		print_blame(r);
	printf("verify: %u passed, %u failed, %u not applicable\n", verify_count(r, VERIFY_PASSED),
	       failed, verify_count(r, VERIFY_NOT_APPLICABLE));
}
