/* The only allocator of the compiler.  A `struct memory` is a budget: all arenas of one compile
 * call draw from it.  When it is spent, or the system has no more, allocation does not return: it
 * jumps to memory->out, which the public entry point set with setjmp; that point frees the arenas.
 * So code in between never checks for NULL.  No LLVM frame may lie between the two.
 */
#ifndef NORMC_IR_ARENA_H
#define NORMC_IR_ARENA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
	size_t used, limit; /* bytes */
	uint64_t count;	    /* allocations so far */
	uint64_t fail_at;   /* tests: fail at this allocation; 0: never */
	jmp_buf *out;	    /* where to go when memory is spent */
};

struct arena; /* many allocations, freed together */

/* A new arena that draws from `memory`, which must outlive it. */
struct arena *arena_open(struct memory *memory);
void arena_close(struct arena *arena); /* NULL is fine */
struct memory *arena_memory(const struct arena *arena);

/* Zeroed memory for n elements of `size` bytes, 16-byte aligned; the product is checked. Never
 * NULL. */
void *arena_alloc(struct arena *arena, size_t n, size_t size);
#define arena_new(arena, T, n) ((T *)arena_alloc(arena, n, sizeof(T)))

/* Copies of bytes and strings. */
void *arena_copy(struct arena *arena, const void *p, size_t bytes);
char *arena_string(struct arena *arena, const char *s);
char *arena_printf(struct arena *arena, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* Room for one more element in a growing array: returns `array` or a larger copy of it. */
void *arena_grow(struct arena *arena, void *array, size_t n, size_t size);
/* Appends x to `array`, which has n elements and grows at powers of two. */
#define PUSH(arena, array, n, x)                                                                   \
	((array) = arena_grow(arena, array, n, sizeof *(array)), (array)[(n)++] = (x))

/* As when memory is spent; for callers that find a limit broken deep inside. */
_Noreturn void memory_spent(struct memory *memory);

#endif
