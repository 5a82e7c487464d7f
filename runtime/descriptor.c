/* Checks the descriptor of a compiled model before anything else reads it.  It may come from a
 * damaged or foreign file, so every offset, count, rank and type is checked against desc->bytes
 * first. */
#include <string.h>

#include "program.h"

/* An array of `count` records at `offset` lies inside the descriptor and is aligned. */
static bool array_fits(const struct normc_desc *desc, uint32_t count, uint32_t offset, size_t size)
{
	if (!count)
		return true;
	return offset % 8 == 0 && offset >= sizeof(*desc) && offset <= desc->bytes &&
	       count <= (desc->bytes - offset) / size;
}

/* A string at `offset` ends inside the descriptor. */
static bool string_fits(const struct normc_desc *desc, uint32_t offset)
{
	if (offset < sizeof(*desc) || offset >= desc->bytes)
		return false;
	return memchr((const char *)desc + offset, 0, desc->bytes - offset) != NULL;
}

static bool ports_valid(const struct normc_desc *desc, uint32_t count, uint32_t offset, bool input)
{
	const struct normc_desc_port *port;

	if (!array_fits(desc, count, offset, sizeof(*port)))
		return false;
	port = (const struct normc_desc_port *)((const char *)desc + offset);
	for (uint32_t i = 0; i < count; i++, port++) {
		if (!string_fits(desc, port->name) || port->rank > NORMC_MAX_RANK ||
		    !normc_elem_size((enum normc_elem)port->elem))
			return false;
		for (int32_t d = 0; input && d < port->rank; d++) {
			if (port->dim[d] < 0 && -1 - port->dim[d] >= (int64_t)desc->n_symbols)
				return false;
		}
	}
	return true;
}

static bool integer_elem(uint8_t elem)
{
	return elem == NORMC_I64 || elem == NORMC_I32;
}

static bool symbols_valid(const struct normc_desc *desc)
{
	const struct normc_desc_port *inputs, *port;
	const struct normc_desc_symbol *symbol;

	if (!array_fits(desc, desc->n_symbols, desc->symbols, sizeof(*symbol)))
		return false;
	inputs = (const struct normc_desc_port *)((const char *)desc + desc->inputs);
	symbol = (const struct normc_desc_symbol *)((const char *)desc + desc->symbols);
	for (uint32_t i = 0; i < desc->n_symbols; i++, symbol++) {
		if (!string_fits(desc, symbol->name) || symbol->input >= desc->n_inputs ||
		    symbol->element > 1)
			return false;
		port = &inputs[symbol->input];
		if (symbol->element ? !integer_elem(port->elem) : symbol->index >= port->rank)
			return false;
	}
	return true;
}

static bool kernels_valid(const struct normc_desc *desc)
{
	const struct normc_desc_kernel *kernel;

	if (!array_fits(desc, desc->n_kernels, desc->kernels, sizeof(*kernel)))
		return false;
	kernel = (const struct normc_desc_kernel *)((const char *)desc + desc->kernels);
	for (uint32_t i = 0; i < desc->n_kernels; i++) {
		if (!string_fits(desc, kernel[i].name))
			return false;
	}
	return true;
}

static bool conditions_valid(const struct normc_desc *desc)
{
	const struct normc_desc_condition *condition;

	if (!array_fits(desc, desc->n_conditions, desc->conditions, sizeof(*condition)))
		return false;
	condition = (const void *)((const char *)desc + desc->conditions);
	for (uint32_t i = 0; i < desc->n_conditions; i++, condition++) {
		if (!string_fits(desc, condition->place) || !string_fits(desc, condition->a) ||
		    !string_fits(desc, condition->b))
			return false;
	}
	return true;
}

enum normc_status normc_desc_check(const struct normc_desc *desc, struct normc_error *error)
{
	if (!desc || (uintptr_t)desc % 8 ||
	    memcmp(desc->magic, "normc\0\0\0", sizeof(desc->magic)) != 0)
		return normc_error_set(error, NORMC_INVALID, "not a model compiled by normc");
	if (desc->abi != NORMC_ABI)
		return normc_error_set(error, NORMC_UNSUPPORTED,
				       "compiled for runtime interface %u, this one is %d",
				       (unsigned)desc->abi, NORMC_ABI);
	if (desc->bytes < sizeof(*desc) || desc->bytes > NORMC_DESC_LIMIT ||
	    !string_fits(desc, desc->name) ||
	    !ports_valid(desc, desc->n_inputs, desc->inputs, true) ||
	    !ports_valid(desc, desc->n_outputs, desc->outputs, false) || !symbols_valid(desc) ||
	    !kernels_valid(desc) || !conditions_valid(desc) ||
	    (desc->weights_file && !string_fits(desc, desc->weights_file)) ||
	    desc->weights_bytes > INT64_MAX)
		return normc_error_set(error, NORMC_INVALID,
				       "damaged descriptor of a compiled model");
	return NORMC_OK;
}
