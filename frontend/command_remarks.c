/* --remarks: what the passes did, and what they left alone and why; as lines of text or as JSON. */
#include "command.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "rewrite.h"

const char *rule_help(const char *rule)
{
	struct pass_description d;
	for (uint32_t i = 0; i < n_rules; i++)
		if (!strcmp(rules[i].name, rule))
			return rules[i].why;
	for (uint32_t i = 0; pass_describe(i, &d); i++)
		if (!strcmp(d.name, rule))
			return d.help;
	return NULL;
}

static void print_remark(const struct compile *c, const struct remark *r)
{
	char place[400];
	diag_place(&c->diag, r->loc, place, sizeof place);
	const char *text = r->missed ? r->missed : r->note ? r->note : rule_help(r->rule);
	say(stdout, "%s %s: %s: %s\n", r->missed ? "missed" : "done  ", r->rule,
	    *place ? place : "the model", text);
}

static void add_text(cJSON *to, const char *name, const char *text)
{
	if (text)
		cJSON_AddStringToObject(to, name, text);
}

static cJSON *remark_json(const struct compile *c, const struct remark *r)
{
	cJSON *to = cJSON_CreateObject();
	add_text(to, "rule", r->rule);
	cJSON_AddBoolToObject(to, "fired", !r->missed);
	add_text(to, "does", rule_help(r->rule));
	add_text(to, "missed", r->missed);
	add_text(to, "note", r->note);
	if (r->loc.source && r->loc.source < c->diag.n_sources) {
		const struct source *s = &c->diag.sources[r->loc.source];
		cJSON *node = cJSON_AddObjectToObject(to, "node");
		add_text(node, "name", s->name);
		add_text(node, "op_type", s->op_type);
		add_text(node, "domain", s->domain);
		cJSON_AddNumberToObject(node, "position", s->position);
		cJSON_AddNumberToObject(node, "opset", s->opset);
	}
	return to;
}

static bool write_json(struct compile *c, const char *path)
{
	struct output out;
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "remarks");
	for (uint32_t i = 0; i < c->log.n_remarks; i++)
		cJSON_AddItemToArray(list, remark_json(c, &c->log.remarks[i]));
	char *text = cJSON_Print(root);
	cJSON_Delete(root);
	bool ok = text ? output_begin(&out, &c->diag, path)
		       : diag_error(&c->diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
	if (ok)
		ok = output_end(&out, &c->diag, fprintf(out.file, "%s\n", text) > 0);
	cJSON_free(text);
	return ok;
}

bool remarks_write(struct compile *c, const struct settings *settings)
{
	const char *path = settings->remarks;
	if (*path)
		return write_json(c, path);
	for (uint32_t i = 0; i < c->log.n_remarks; i++)
		print_remark(c, &c->log.remarks[i]);
	return true;
}
