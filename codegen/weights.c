/* The weights block: constants as they are, and packed for the micro-kernels, streamed to a file in
 * order. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen.h"

struct writer {
	int file;
	uint64_t offset;
	uint64_t *hash; /* FNV-1a 64 of what is written so far; NULL: nobody asks */
	struct diag *diag;
	bool ok;
};

static void update_hash(uint64_t *hash, const unsigned char *p, uint64_t bytes)
{
	uint64_t h = *hash;
	for (uint64_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	*hash = h;
}

static void put(struct writer *w, const void *p, uint64_t bytes)
{
	const unsigned char *from = p;
	if (w->hash && w->ok)
		update_hash(w->hash, from, bytes);
	if (w->file < 0) {
		w->offset += bytes;
		return;
	}
	while (w->ok && bytes) {
		ssize_t n = write(w->file, from, bytes < (1 << 30) ? (size_t)bytes : 1 << 30);
		if (n <= 0) {
			w->ok = diag_error(w->diag, (struct loc){0}, NORMC_IO,
					   "cannot write the weights");
			return;
		}
		from += n;
		bytes -= (uint64_t)n;
		w->offset += (uint64_t)n;
	}
}

static void put_padding(struct writer *w, uint64_t to)
{
	static const unsigned char zero[64];
	while (w->ok && w->offset < to)
		put(w, zero, to - w->offset < sizeof zero ? to - w->offset : sizeof zero);
}

/* Offset of the source's row k (without batch and column). */
static int64_t row_offset(const struct pack *pack, int64_t k)
{
	int64_t offset = 0;
	for (int32_t i = pack->levels; i-- > 0;) {
		offset += k % pack->extent[i] * pack->stride[i];
		k /= pack->extent[i];
	}
	return offset;
}

/* One panel row: columns [first, first + width), zeros behind the last. */
static void pack_row(const struct pack *pack, const unsigned char *from, int64_t first, size_t size,
		     unsigned char *to)
{
	int64_t left = pack->n - first, n = left < pack->width ? left : pack->width;
	if (pack->stride_n == 1)
		memcpy(to, from + (size_t)first * size, (size_t)n * size);
	else
		for (int64_t j = 0; j < n; j++)
			memcpy(to + (size_t)j * size,
			       from + (size_t)((first + j) * pack->stride_n) * size, size);
	memset(to + (size_t)n * size, 0, (size_t)(pack->width - n) * size);
}

/* A panel at a time, so that memory stays small. */
static void put_packed(struct writer *w, const struct weight *weight, size_t size)
{
	const struct pack *pack = weight->pack;
	const unsigned char *data = weight->node->attr.data->p;
	int64_t k = 1;
	for (int32_t i = 0; i < pack->levels; i++)
		k *= pack->extent[i];
	unsigned char *panel = malloc((size_t)(k * pack->width) * size + 1);
	if (!panel) {
		w->ok = diag_error(w->diag, weight->node->loc, NORMC_LIMIT,
				   "no memory to pack a weight");
		return;
	}
	for (int64_t b = 0; b < pack->batch; b++)
		for (int64_t first = 0; first < pack->n; first += pack->width) {
			for (int64_t i = 0; i < k; i++) {
				int64_t at = b * pack->stride_batch + row_offset(pack, i);
				pack_row(pack, data + (size_t)at * size, first, size,
					 panel + (size_t)(i * pack->width) * size);
			}
			put(w, panel, (uint64_t)(k * pack->width) * size);
		}
	free(panel);
}

bool weights_write(const struct program *p, int file, uint64_t *hash)
{
	struct writer w = {.file = file, .hash = hash, .diag = p->context->diag, .ok = true};
	if (hash)
		*hash = 0xcbf29ce484222325u;
	for (uint32_t i = 0; i < p->n_weights; i++) {
		const struct weight *weight = &p->weights[i];
		put_padding(&w, weight->offset);
		if (weight->pack)
			put_packed(&w, weight, normc_elem_size(weight->node->type.elem));
		else
			put(&w, weight->node->attr.data->p, weight->bytes);
	}
	put_padding(&w, p->weights_bytes);
	return w.ok;
}
