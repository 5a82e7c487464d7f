/* Groups nodes into kernels, from the outputs backwards.
 *
 * A node joins the kernel of its readers when all of them are in that one kernel and read it
 * element by element: in the epilogue (between anchor and root) or in the prologue (between buffers
 * and a reduction, softmax or norm).  A kernel has one anchor at most; a second one becomes a
 * kernel of its own.  Because every reader is inside, nothing outside can lie between the two in
 * execution order, so kernels stay in node order.
 */
#include "lower.h"

/* Nodes of a kernel: expressions are emitted recursively, and more than registers hold gains
 * nothing. */
enum { MOST_FUSED = 64 };

enum role { ROLE_NONE, ROLE_EPILOGUE, ROLE_PROLOGUE };

struct fuse {
	struct layout *const *layout;
	struct groups groups;
	const struct node **offer; /* by id: the only kernel among the readers so far */
	enum role *offered, *role;
	bool *live, *memory; /* by id; memory: some reader needs it in a buffer */
	uint32_t *size;	     /* by root's id: nodes of its kernel */
};

static bool is_anchor(const struct node *n)
{
	enum op_kind k = op_info[n->op].kind;
	return k == KIND_reduce || k == KIND_softmax || k == KIND_norm || k == KIND_contract ||
	       k == KIND_conv || k == KIND_window;
}

static bool has_prologue(const struct node *n)
{
	enum op_kind k = op_info[n->op].kind;
	return k == KIND_reduce || k == KIND_softmax || k == KIND_norm;
}

/* Computed element by element wherever it is wanted. */
static bool is_inline(const struct node *n)
{
	return (op_info[n->op].kind == KIND_map && n->op != OP_copy) || n->op == OP_iota ||
	       n->op == OP_gather || n->op == OP_gather_elements;
}

static bool may_join(const struct fuse *f, const struct node *n)
{
	const struct node *root = f->offer[n->id];
	if (f->memory[n->id] || !root || f->offered[n->id] == ROLE_NONE ||
	    f->size[root->id] >= MOST_FUSED)
		return false;
	if (is_inline(n))
		return true;
	if (!is_anchor(n) || f->offered[n->id] != ROLE_EPILOGUE || f->groups.anchor[root->id])
		return false;
	return order_equal(&f->layout[n->id]->order, &f->layout[root->id]->order, n->type.rank);
}

static void need_memory(struct fuse *f, const struct node *n)
{
	f->live[n->id] = true;
	f->memory[n->id] = true;
}

static void offer(struct fuse *f, const struct node *n, const struct node *root, enum role role)
{
	f->live[n->id] = true;
	if (!f->offer[n->id]) {
		f->offer[n->id] = root;
		f->offered[n->id] = role;
	} else if (f->offer[n->id] != root || f->offered[n->id] != role) {
		f->memory[n->id] = true;
	}
}

static void visit_operands(struct fuse *f, const struct node *n)
{
	const struct node *root = f->groups.root[n->id];
	enum role role = f->role[n->id];
	for (uint32_t i = 0; i < n->n_in; i++) {
		if (op_info[n->op].kind == KIND_map)
			offer(f, n->in[i], root, role);
		else if (n->op == OP_gather_elements && i == 1)
			offer(f, n->in[i], root, role);
		else if (has_prologue(n) && i == 0)
			offer(f, n->in[i], root, ROLE_PROLOGUE);
		else
			need_memory(f, n->in[i]);
	}
}

static void visit(struct fuse *f, const struct node *n)
{
	uint32_t id = n->id;
	enum op_kind kind = op_info[n->op].kind;
	if (kind == KIND_view || kind == KIND_tuple) {
		need_memory(f, n->in[0]);
		return;
	}
	if (kind == KIND_source && n->op != OP_iota && n->op != OP_dims)
		return;
	bool join = may_join(f, n);
	f->groups.root[id] = join ? f->offer[id] : n;
	f->role[id] = join ? f->offered[id] : ROLE_EPILOGUE;
	f->size[f->groups.root[id]->id]++;
	if (is_anchor(n))
		f->groups.anchor[f->groups.root[id]->id] = n;
	visit_operands(f, n);
}

struct groups fuse(const struct graph *g, struct layout *const *layout)
{
	struct arena *a = g->context->arena;
	uint32_t n = g->n_nodes + 1;
	struct fuse f = {.layout = layout};
	f.groups.root = arena_new(a, const struct node *, n);
	f.groups.anchor = arena_new(a, const struct node *, n);
	f.offer = arena_new(a, const struct node *, n);
	f.offered = arena_new(a, enum role, n);
	f.role = arena_new(a, enum role, n);
	f.live = arena_new(a, bool, n);
	f.size = arena_new(a, uint32_t, n);
	f.memory = arena_new(a, bool, n);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		need_memory(&f, g->outputs[i]);
	for (uint32_t i = g->n_nodes; i-- > 0;)
		if (f.live[i])
			visit(&f, g->nodes[i]);
	return f.groups;
}
