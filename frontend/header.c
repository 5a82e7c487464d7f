/* The C header of a compiled model: what goes in and out, and typed entry points for callers
 * without a session.
 *
 * Unknown extents are parameters, in the order of the symbols; unknown values that are elements of
 * an input are read from that input.  Names come from the model and may hold anything, so they are
 * made identifiers, and harmless in comments.
 */
#include "compile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const reserved[] = {
		"asm",	    "auto",	 "bool",     "break",	  "case",     "catch",
		"char",	    "class",	 "const",    "continue",  "default",  "delete",
		"do",	    "double",	 "else",     "enum",	  "explicit", "export",
		"extern",   "false",	 "float",    "for",	  "friend",   "goto",
		"if",	    "inline",	 "int",	     "int8_t",	  "int16_t",  "int32_t",
		"int64_t",  "long",	 "mutable",  "namespace", "new",      "operator",
		"private",  "protected", "public",   "register",  "restrict", "return",
		"short",    "signed",	 "size_t",   "sizeof",	  "static",   "struct",
		"switch",   "template",	 "this",     "throw",	  "true",     "try",
		"typedef",  "typeid",	 "typename", "uint8_t",	  "uint16_t", "uint32_t",
		"uint64_t", "union",	 "unsigned", "using",	  "virtual",  "void",
		"volatile", "weights",	 "while",    "workspace",
};

static bool is_reserved(const char *name)
{
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (!strcmp(reserved[i], name))
			return true;
	return false;
}

void header_identifier(const char *name, char *text, size_t size)
{
	size_t n = 0;
	/* names that begin with an underscore belong to the implementation */
	if (!isalpha((unsigned char)*name))
		text[n++] = 'm';
	for (; *name && n + 2 < size; name++) {
		unsigned char c = (unsigned char)*name;
		text[n++] = c < 128 && isalnum(c) ? (char)c : '_';
	}
	text[n] = 0;
	if (is_reserved(text))
		strncat(text, "_", size - n - 1);
}

/* ---- parameters ---- */

struct names {
	struct arena *arena;
	const char **taken;
	uint32_t n;
};

static bool is_taken(const struct names *names, const char *name)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (!strcmp(names->taken[i], name))
			return true;
	return false;
}

/* An identifier for `name` that no other parameter has. */
static const char *parameter_name(struct names *names, const char *name)
{
	size_t size = strlen(name) + 8;
	char *plain = arena_alloc(names->arena, size, 1);
	header_identifier(name, plain, size);
	const char *chosen = plain;
	for (int i = 2; is_taken(names, chosen); i++)
		chosen = arena_printf(names->arena, "%s_%d", plain, i);
	PUSH(names->arena, names->taken, names->n, chosen);
	return chosen;
}

static const char *c_type(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F32:
		return "float";
	case NORMC_F64:
		return "double";
	case NORMC_I64:
		return "int64_t";
	case NORMC_U64:
		return "uint64_t";
	case NORMC_I32:
		return "int32_t";
	case NORMC_U32:
		return "uint32_t";
	case NORMC_I16:
		return "int16_t";
	case NORMC_I8:
	case NORMC_I4:
	case NORMC_I2:
		return "int8_t";
	case NORMC_U16:
	case NORMC_F16:
	case NORMC_BF16:
		return "uint16_t";
	default:
		return "uint8_t";
	}
}

/* `name` without what would end a comment or a line. */
static const char *comment_text(struct arena *arena, const char *name)
{
	char *text = arena_string(arena, name);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127 ||
		    (*c == '/' && c > text && c[-1] == '*') ||
		    (*c == '*' && c > text && c[-1] == '/') || *c == '\\')
			*c = '?';
	return text;
}

struct header {
	const struct compile *c;
	struct arena *arena;
	FILE *file;
	const char **symbols; /* parameter name; NULL: element of an input */
	const char **inputs, **outputs;
};

static void print_shape(const struct header *h, const struct type *type)
{
	fprintf(h->file, "%s[", normc_elem_name(type->elem));
	for (int32_t d = 0; d < type->rank; d++) {
		char text[200];
		dim_print(h->c->context.dims, type->dim[d], text, sizeof text);
		fprintf(h->file, "%s%s", d ? "," : "", comment_text(h->arena, text));
	}
	fprintf(h->file, "]");
}

static void print_ports(const struct header *h, const char *title, bool in)
{
	const struct graph *g = h->c->program->graph;
	uint32_t n = in ? g->n_inputs : g->n_outputs;
	fprintf(h->file, " * %s\n", title);
	for (uint32_t i = 0; i < n; i++) {
		const char *name = in ? g->inputs[i]->attr.port->name : g->output_names[i];
		const char *parameter = in ? h->inputs[i] : h->outputs[i];
		fprintf(h->file, " *\t%s: ", parameter);
		print_shape(h, in ? &g->inputs[i]->type : &g->outputs[i]->type);
		if (strcmp(name, parameter) != 0)
			fprintf(h->file, ", '%s' in the model", comment_text(h->arena, name));
		fprintf(h->file, "\n");
	}
}

static void print_symbols(const struct header *h)
{
	const struct dims *dims = h->c->context.dims;
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		const char *name = s->name && *s->name ? s->name : "";
		if (!h->symbols[i])
			fprintf(h->file, " * s%u%s%s: element %u of input %s\n", i,
				*name ? " = " : "", comment_text(h->arena, name), s->index,
				h->inputs[s->input]);
		else if (strcmp(name, h->symbols[i]) != 0)
			fprintf(h->file, " * %s: dimension %u of input %s ('%s')\n", h->symbols[i],
				s->index, h->inputs[s->input],
				*name ? comment_text(h->arena, name) : "s?");
		else
			fprintf(h->file, " * %s: dimension %u of input %s\n", name, s->index,
				h->inputs[s->input]);
	}
}

/* Typed entry points take extents only: values that lie in inputs are a session's business. */
static bool has_entry_points(const struct header *h)
{
	const struct dims *dims = h->c->context.dims;
	for (uint32_t i = 0; i < dims->n_symbols; i++)
		if (dims->symbols[i].element)
			return false;
	return true;
}

static void print_comment(const struct header *h)
{
	const struct compile *c = h->c;
	const char *slash = strrchr(c->model->path, '/');
	char text[300];

	fprintf(h->file, "/* %s: compiled by normc %d.%d from %s.\n *\n", c->codegen.symbol,
		NORMC_VERSION_MAJOR, NORMC_VERSION_MINOR,
		comment_text(h->arena, slash ? slash + 1 : c->model->path));
	print_ports(h, "Inputs (dense, row-major):", true);
	print_ports(h, "Outputs:", false);
	print_symbols(h);
	dim_print(c->context.dims, c->program->workspace, text, sizeof text);
	fprintf(h->file, " * Activations: %s bytes%s%s%s.\n", comment_text(h->arena, text),
		has_entry_points(h) ? "; " : "", has_entry_points(h) ? c->codegen.symbol : "",
		has_entry_points(h) ? "_workspace says how much memory a run needs in all" : "");
	if (c->program->weights_bytes && c->codegen.weights_file)
		fprintf(h->file,
			" * Weights: %llu bytes in the file '%s', to be mapped at a multiple of 64 "
			"bytes.\n",
			(unsigned long long)c->program->weights_bytes,
			comment_text(h->arena, c->codegen.weights_file));
	else
		fprintf(h->file, " * Weights: %llu bytes, inside the code.\n",
			(unsigned long long)c->program->weights_bytes);
	fprintf(h->file, " */\n");
}

/* The unknown extents as the first parameters; whether there are any. */
static bool print_extents(const struct header *h)
{
	bool any = false;
	for (uint32_t i = 0; i < h->c->context.dims->n_symbols; i++) {
		if (h->symbols[i])
			fprintf(h->file, "%sint64_t %s", any ? ", " : "", h->symbols[i]);
		any = any || h->symbols[i];
	}
	return any;
}

static void print_run(const struct header *h)
{
	const struct graph *g = h->c->program->graph;
	const char *symbol = h->c->codegen.symbol;
	bool beside = h->c->codegen.weights_file && h->c->program->weights_bytes;

	fprintf(h->file,
		"/* Runs the model in the calling thread. `workspace` is aligned to 64 bytes and "
		"used by one "
		"call at a time;\n * no tensor may overlap another one. Returns 0, or an enum "
		"normc_status "
		"of normc.h. */\nint %s_run(",
		symbol);
	if (print_extents(h))
		fprintf(h->file, ", ");
	for (uint32_t i = 0; i < g->n_inputs; i++)
		fprintf(h->file, "const %s *%s, ", c_type(g->inputs[i]->type.elem), h->inputs[i]);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		fprintf(h->file, "%s *%s, ", c_type(g->outputs[i]->type.elem), h->outputs[i]);
	fprintf(h->file, "%svoid *workspace);\n\n", beside ? "const void *weights, " : "");
}

static void print_functions(const struct header *h)
{
	const char *symbol = h->c->codegen.symbol;
	if (has_entry_points(h)) {
		fprintf(h->file,
			"/* Bytes of workspace that %s_run needs; SIZE_MAX if the model cannot "
			"take\n * these extents, and then %s_run returns 2. */\n"
			"size_t %s_workspace(",
			symbol, symbol, symbol);
		if (!print_extents(h))
			fprintf(h->file, "void");
		fprintf(h->file, ");\n\n");
		print_run(h);
	} else {
		fprintf(h->file, "/* Shapes depend on the contents of inputs, so that there are no "
				 "typed entry points. */\n\n");
	}
	fprintf(h->file,
		"/* For normc_program_from_module of normc.h: several threads, shapes that are "
		"checked. */\n"
		"struct normc_module;\nvoid %s_module(struct normc_module *module);\n",
		symbol);
}

static void choose_parameters(struct header *h)
{
	const struct graph *g = h->c->program->graph;
	const struct dims *dims = h->c->context.dims;
	struct names names = {.arena = h->arena};

	h->symbols = arena_new(h->arena, const char *, dims->n_symbols + 1);
	h->inputs = arena_new(h->arena, const char *, g->n_inputs + 1);
	h->outputs = arena_new(h->arena, const char *, g->n_outputs + 1);
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const char *name = dims->symbols[i].name;
		if (!dims->symbols[i].element)
			h->symbols[i] = parameter_name(
					&names,
					name && *name ? name : arena_printf(h->arena, "dim%u", i));
	}
	for (uint32_t i = 0; i < g->n_inputs; i++)
		h->inputs[i] = parameter_name(&names, g->inputs[i]->attr.port->name);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		h->outputs[i] = parameter_name(&names, g->output_names[i]);
}

bool header_write(const struct compile *c, FILE *file)
{
	struct header h = {.c = c, .arena = c->context.arena, .file = file};
	const char *symbol = c->codegen.symbol;
	char *guard = arena_printf(h.arena, "%s_H", symbol);

	for (char *p = guard; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	choose_parameters(&h);
	fprintf(file, "#ifndef %s\n#define %s\n\n", guard, guard);
	print_comment(&h);
	fprintf(file, "\n#include <stddef.h>\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern "
		      "\"C\" {\n#endif\n\n");
	print_functions(&h);
	fprintf(file, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
	return !ferror(file);
}
