/* A hash map from strings to pointers. */
#ifndef NORMC_FRONTEND_NAMES_H
#define NORMC_FRONTEND_NAMES_H

#include "arena.h"

struct names;

struct names *names_new(struct arena *arena);
/* Where the value of `key` is kept: NULL in it at first. `key` is borrowed. Valid until the next
 * call. */
void **names_slot(struct names *names, const char *key);
/* The value of `key`, NULL if there is none. */
void *names_find(const struct names *names, const char *key);

#endif
