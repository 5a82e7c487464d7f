/* Names of statuses and element types, sizes of elements, and the filling of struct normc_error. */
#include <stdarg.h>
#include <stdio.h>

#include "program.h"

const char *normc_status_text(enum normc_status status)
{
	switch (status) {
#define NORMC_X(name, code, text)                                                                  \
	case name:                                                                                 \
		return text;
		NORMC_STATUS_LIST(NORMC_X)
#undef NORMC_X
	}
	return "unknown status";
}

const char *normc_elem_name(enum normc_elem elem)
{
	switch (elem) {
#define NORMC_X(name, code, bits, text)                                                            \
	case name:                                                                                 \
		return text;
		NORMC_ELEM_LIST(NORMC_X)
#undef NORMC_X
	case NORMC_ELEM_NONE:
		break;
	}
	return "none";
}

size_t normc_elem_size(enum normc_elem elem)
{
	switch (elem) {
#define NORMC_X(name, code, bits, text)                                                            \
	case name:                                                                                 \
		return ((bits) + 7) / 8;
		NORMC_ELEM_LIST(NORMC_X)
#undef NORMC_X
	case NORMC_ELEM_NONE:
		break;
	}
	return 0;
}

bool normc_shape_count(const int64_t *dim, int32_t rank, size_t size, int64_t *count)
{
	int64_t total = 1, bytes;

	for (int32_t i = 0; i < rank; i++) {
		if (dim[i] < 0 || __builtin_mul_overflow(total, dim[i], &total))
			return false;
	}
	*count = total;
	return !__builtin_mul_overflow(total, (int64_t)size, &bytes);
}

enum normc_status normc_error_set(struct normc_error *error, enum normc_status status,
				  const char *format, ...)
{
	va_list arguments;

	if (!error)
		return status;
	error->status = status;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return status;
}
