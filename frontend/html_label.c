/* What stands on a box: its title, the rewrites that made it, and the constants that it reads. */
#include "html.h"

#include <string.h>

#include "value.h"

/* Different words, the first few of them. */
struct words {
	const char *item[4];
	uint32_t n;
	bool more;
};

static void add_word(struct words *words, const char *word)
{
	for (uint32_t i = 0; i < words->n; i++)
		if (!strcmp(words->item[i], word))
			return;
	if (words->n == sizeof words->item / sizeof *words->item)
		words->more = true;
	else
		words->item[words->n++] = word;
}

/* NULL if there are none. */
static const char *join(struct arena *arena, const struct words *words, const char *between)
{
	struct page_text text = {.arena = arena};
	for (uint32_t i = 0; i < words->n; i++) {
		page_put(&text, i ? between : "");
		page_put(&text, words->item[i]);
	}
	if (words->more)
		page_put(&text, " …");
	return text.text;
}

/* ---- titles ---- */

/* Without the mean of the same elements. */
static const char *meanless_name(enum norm_scale scale)
{
	switch (scale) {
	case NORM_SCALE_RMS:
		return "RMSNorm";
	case NORM_SCALE_L1:
		return "L1 norm";
	case NORM_SCALE_L2:
		return "L2 norm";
	case NORM_SCALE_MAX:
		return "max norm";
	case NORM_SCALE_GIVEN:
	case NORM_SCALE_NONE:
		break;
	}
	return "affine map";
}

const char *norm_name(const struct diag *diag, const struct node *n)
{
	const struct attr_norm *attr = n->attr.norm;
	const char *op_type = n->loc.source < diag->n_sources && n->loc.source
					      ? diag->sources[n->loc.source].op_type
					      : "";
	if (attr->scale == NORM_SCALE_GIVEN || attr->centre == NORM_CENTRE_GIVEN)
		return "BatchNorm";
	if (attr->centre == NORM_CENTRE_NONE)
		return meanless_name(attr->scale);
	if (attr->scale == NORM_SCALE_NONE)
		return "centring";
	if (attr->scale != NORM_SCALE_RMS)
		return "centred norm";
	if (!strcmp(op_type, "InstanceNormalization"))
		return "InstanceNorm";
	if (!strcmp(op_type, "GroupNormalization"))
		return "GroupNorm";
	if (!strcmp(op_type, "BatchNormalization"))
		return "BatchNorm (training)";
	return strcmp(op_type, "MeanVarianceNormalization") ? "LayerNorm" : "mean-variance norm";
}

/* The operations in a box, views aside if there are others. */
static const char *name_operations(const struct drawing *d, const struct box *box)
{
	struct words words = {.n = 0};
	if (box->kind == BOX_norm)
		return norm_name(d->g->context->diag, box->main);
	for (uint32_t id = box->first; id != NONE; id = d->next[id]) {
		const struct node *n = d->g->nodes[id];
		bool view = op_info[n->op].kind == KIND_view || op_info[n->op].kind == KIND_tuple;
		if (!view || box->kind == BOX_movement)
			add_word(&words,
				 n->op == OP_call ? n->attr.call->name : op_info[n->op].name);
	}
	return join(d->arena, &words, " + ");
}

/* Whether the box holds what the importer made of its source, as before. */
static bool is_unchanged(const struct box *box, const struct drawing *before)
{
	if (!before)
		return true;
	uint32_t same = before->by_source[box->source];
	return !box->via && same != NONE && before->boxes[same].n_parts == box->n_parts;
}

/* ---- notes ---- */

/* What an operand is to its reader; "": nothing special. */
static const char *role_of(const struct node *n, uint32_t operand)
{
	if (n->op == OP_matmul || n->op == OP_conv)
		return operand ? "W " : "X ";
	if (n->op != OP_norm || !operand)
		return "";
	const struct attr_norm *attr = n->attr.norm;
	const char *role[4];
	uint32_t roles = 0;
	if (attr->gamma)
		role[roles++] = "γ ";
	if (attr->beta)
		role[roles++] = "β ";
	if (attr->centre == NORM_CENTRE_GIVEN)
		role[roles++] = "mean ";
	if (attr->scale == NORM_SCALE_GIVEN)
		role[roles++] = "variance ";
	return operand <= roles ? role[operand - 1] : "";
}

/* "64×192": extents without the ones in front; a number if there is but one. */
static const char *constant_text(const struct drawing *d, const struct node *n)
{
	struct page_text text = {.arena = d->arena};
	while (n->n_in && d->is_note[n->in[0]->id])
		n = n->in[0];
	if (n->op == OP_constant && type_fixed_count(&n->type) == 1) {
		page_printf(&text, "%.4g", constant_at(n, 0));
		return text.text;
	}
	for (int32_t i = 0; i < n->type.rank; i++) {
		char extent[60];
		if (!text.n && dim_is(n->type.dim[i], 1))
			continue;
		dim_print(d->g->context->dims, n->type.dim[i], extent, sizeof extent);
		page_put(&text, text.n ? "×" : "");
		page_put(&text, extent);
	}
	return text.n ? text.text : "scalar";
}

/* A number among several operations belongs to the formula of an operator, such as the 1 of a
 * sigmoid. */
static bool is_told(const struct drawing *d, const struct box *box, const struct node *operand)
{
	if (!d->is_note[operand->id] || node_is_absent(operand))
		return false;
	while (operand->n_in && d->is_note[operand->in[0]->id])
		operand = operand->in[0];
	return box->kind == BOX_norm || box->n_work < 2 || type_fixed_count(&operand->type) != 1;
}

static const char *notes_of(const struct drawing *d, const struct box *box)
{
	struct words words = {.n = 0};
	for (uint32_t id = box->first; id != NONE && !words.more; id = d->next[id]) {
		const struct node *n = d->g->nodes[id];
		for (uint32_t k = 0; k < n->n_in; k++)
			if (is_told(d, box, n->in[k]))
				add_word(&words, arena_printf(d->arena, "%s%s", role_of(n, k),
							      constant_text(d, n->in[k])));
	}
	const char *notes = join(d->arena, &words, " · ");
	return notes ? notes : "";
}

static const char *via_of(const struct drawing *d, const struct box *box)
{
	struct words words = {.n = 0};
	for (uint32_t id = box->first; id != NONE; id = d->next[id])
		if (d->g->nodes[id]->loc.via)
			add_word(&words, d->g->nodes[id]->loc.via);
	return join(d->arena, &words, ", ");
}

void box_label(struct drawing *d, struct box *box, const struct drawing *before)
{
	const struct diag *diag = d->g->context->diag;
	bool known = box->source && box->source < diag->n_sources;
	if (!box->main) {
		box->title = "output";
		box->notes = d->is_note[box->result->id] ? constant_text(d, box->result) : "";
		return;
	}
	if (box->main->op == OP_input) {
		box->title = "input";
		box->name = box->main->attr.port->name;
		return;
	}
	box->via = via_of(d, box);
	box->notes = notes_of(d, box);
	box->name = known ? diag->sources[box->source].name : "";
	box->title = known && is_unchanged(box, before) ? diag->sources[box->source].op_type
							: name_operations(d, box);
}

const char *short_name(struct arena *arena, const struct source *source, const char *name)
{
	const char *last = strrchr(name, '/');
	size_t length = strlen(source->op_type), n = strlen(name);
	if (last && last > name + 1 && length && !strncmp(last + 1, source->op_type, length))
		n = (size_t)(last - name);
	char *part = arena_copy(arena, name, n + 1);
	part[n] = 0;
	return part + (*part == '/');
}

void shape_text(const struct dims *dims, const struct type *type, char *text, size_t size)
{
	size_t n = 0;
	for (int32_t i = 0; i < type->rank; i++) {
		char extent[80];
		dim_print(dims, type->dim[i], extent, sizeof extent);
		int wrote = snprintf(text + n, size - n, "%s%s", i ? "×" : "", extent);
		if (wrote < 0 || (size_t)wrote >= size - n)
			return;
		n += (size_t)wrote;
	}
	snprintf(text + n, size - n, "%s", type->rank ? "" : "scalar");
}
