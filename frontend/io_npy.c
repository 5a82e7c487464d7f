/* numpy's .npy format, versions 1 to 3: a magic number, the length of a header, the header (a
 * Python dictionary as text with exactly three keys), the elements. Only arrays of numbers;
 * big-endian ones and Fortran order are turned round. */
#define _GNU_SOURCE
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

static const struct loc nowhere = {0};

static const struct kind {
	char text[3];
	enum normc_elem elem;
} kinds[] = {
		{"f4", NORMC_F32}, {"f8", NORMC_F64}, {"f2", NORMC_F16}, {"b1", NORMC_BOOL},
		{"i1", NORMC_I8},  {"i2", NORMC_I16}, {"i4", NORMC_I32}, {"i8", NORMC_I64},
		{"u1", NORMC_U8},  {"u2", NORMC_U16}, {"u4", NORMC_U32}, {"u8", NORMC_U64},
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const char *kind_text(enum normc_elem elem)
{
	for (int i = 0; i < N_KINDS; i++)
		if (kinds[i].elem == elem)
			return kinds[i].text;
	return NULL;
}

bool io_npy_lacks(enum normc_elem elem)
{
	return elem != NORMC_ELEM_NONE && !kind_text(elem);
}

/* ---- reading ---- */

/* What the header says. */
struct header {
	enum normc_elem elem;
	bool swapped, fortran;
	size_t data; /* offset of the elements */
};

static bool malformed(struct diag *diag, const char *what)
{
	return diag_error(diag, nowhere, NORMC_INVALID, "not a usable .npy file: %s", what);
}

/* The text after 'key': in the header, or NULL. */
static const char *value_of(const char *text, const char *key)
{
	char quoted[32];
	snprintf(quoted, sizeof quoted, "'%s'", key);
	const char *found = strstr(text, quoted);
	if (!found)
		return NULL;
	found += strlen(quoted);
	found += strspn(found, " ");
	if (*found != ':')
		return NULL;
	return found + 1 + strspn(found + 1, " ");
}

static bool parse_type(struct diag *diag, const char *text, struct header *h)
{
	if (!text || *text != '\'' || !memchr("<>|=", text[1] ? text[1] : ' ', 4))
		return malformed(diag, "its type is not a plain number");
	for (int i = 0; i < N_KINDS; i++)
		if (!strncmp(text + 2, kinds[i].text, 2) && text[4] == '\'')
			h->elem = kinds[i].elem;
	h->swapped = text[1] == '>';
	if (h->elem)
		return true;
	if (text[2] == 'O')
		return diag_error(diag, nowhere, NORMC_UNSUPPORTED,
				  "it holds Python objects, not numbers; convert the array with "
				  "astype");
	return diag_error(diag, nowhere, NORMC_UNSUPPORTED,
			  "elements of numpy's type '%.*s' are not supported",
			  (int)strcspn(text + 1, "'") < 20 ? (int)strcspn(text + 1, "'") : 20,
			  text + 1);
}

static bool parse_shape(struct diag *diag, const char *text, struct normc_tensor *tensor)
{
	if (!text || *text++ != '(')
		return malformed(diag, "no shape");
	tensor->rank = 0;
	for (;;) {
		text += strspn(text, " ,");
		if (*text == ')')
			return true;
		char *end;
		errno = 0;
		long long extent = strtoll(text, &end, 10);
		if (end == text || errno || extent < 0)
			return malformed(diag, "a wrong shape");
		if (tensor->rank == NORMC_MAX_RANK)
			return diag_error(diag, nowhere, NORMC_UNSUPPORTED,
					  "more than %d dimensions", NORMC_MAX_RANK);
		tensor->dim[tensor->rank++] = extent;
		text = end;
	}
}

static bool parse_header(struct diag *diag, const unsigned char *bytes, size_t n,
			 struct normc_tensor *tensor, struct header *h)
{
	if (n < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
		return malformed(diag, "wrong magic number");
	size_t start = bytes[6] == 1 ? 10 : 12;
	size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
	if (bytes[6] > 1)
		length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
	if (length > n - start)
		return malformed(diag, "cut short");
	char *text = strndup((const char *)bytes + start, length);
	if (!text)
		return diag_error(diag, nowhere, NORMC_LIMIT, "out of memory");
	const char *order = value_of(text, "fortran_order");
	h->fortran = order && *order == 'T';
	h->data = start + length;
	bool ok = order ? parse_type(diag, value_of(text, "descr"), h) &&
						  parse_shape(diag, value_of(text, "shape"), tensor)
			: malformed(diag, "no order of elements");
	free(text);
	tensor->elem = h->elem;
	return ok;
}

static void copy_element(unsigned char *to, const unsigned char *from, size_t size, bool swapped)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[swapped ? size - 1 - i : i];
}

/* Elements into row-major order and this machine's byte order. */
static void copy_elements(const struct normc_tensor *tensor, const struct header *h,
			  const unsigned char *from, size_t bytes)
{
	size_t size = normc_elem_size(tensor->elem), count = bytes / size;
	int64_t index[NORMC_MAX_RANK] = {0}, stride[NORMC_MAX_RANK];
	int64_t step = 1;

	for (int32_t i = 0; i < tensor->rank; i++) {
		int32_t d = h->fortran ? i : tensor->rank - 1 - i;
		stride[d] = step;
		step *= tensor->dim[d];
	}
	for (size_t k = 0; k < count; k++) {
		int64_t at = 0;
		for (int32_t d = 0; d < tensor->rank; d++)
			at += index[d] * stride[d];
		copy_element((unsigned char *)tensor->data + k * size, from + (size_t)at * size,
			     size, h->swapped);
		for (int32_t d = tensor->rank - 1; d >= 0 && ++index[d] == tensor->dim[d]; d--)
			index[d] = 0;
	}
}

bool npy_parse(struct diag *diag, const unsigned char *bytes, size_t n, struct normc_tensor *tensor)
{
	struct header h = {0};
	size_t need;

	if (!parse_header(diag, bytes, n, tensor, &h))
		return false;
	if (!io_bytes(tensor, &need) || need > n - h.data)
		return malformed(diag, "fewer elements than its shape says");
	tensor->data = malloc(need ? need : 1);
	if (!tensor->data)
		return diag_error(diag, nowhere, NORMC_LIMIT, "out of memory");
	if (need && (h.fortran || h.swapped))
		copy_elements(tensor, &h, bytes + h.data, need);
	else if (need)
		memcpy(tensor->data, bytes + h.data, need);
	return true;
}

/* ---- writing ---- */

static void write_header(FILE *file, const struct normc_tensor *tensor)
{
	enum normc_elem elem = tensor->elem;
	const char *kind = kind_text(elem);
	char text[256], shape[200] = "";
	size_t n = 0;

	if (!kind)
		kind = kind_text(normc_elem_size(elem) == 2		? NORMC_U16
				 : elem == NORMC_I4 || elem == NORMC_I2 ? NORMC_I8
									: NORMC_U8);
	for (int32_t i = 0; i < tensor->rank; i++)
		n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld%s",
				      (long long)tensor->dim[i],
				      tensor->rank == 1	     ? ","
				      : i + 1 < tensor->rank ? ", "
							     : "");
	int length = snprintf(text, sizeof text,
			      "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
			      normc_elem_size(elem) == 1 ? '|' : '<', kind, shape);
	int total = (10 + length + 1 + 63) / 64 * 64;
	unsigned header = (unsigned)(total - 10);
	fwrite("\x93NUMPY\x01\x00", 1, 8, file);
	fputc((int)(header & 255), file);
	fputc((int)(header >> 8), file);
	fprintf(file, "%-*s\n", (int)header - 1, text);
}

bool io_write_npy(struct diag *diag, const char *path, const struct normc_tensor *tensor)
{
	struct output out;
	size_t bytes;
	if (!io_bytes(tensor, &bytes))
		return diag_error(diag, nowhere, NORMC_LIMIT, "%.300s: the tensor is too large",
				  path);
	if (!output_begin(&out, diag, path))
		return false;
	write_header(out.file, tensor);
	return output_end(&out, diag, !bytes || fwrite(tensor->data, 1, bytes, out.file) == bytes);
}
