/* Bump allocation in blocks that double in size up to a cap. */
#include "arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
	size_t bytes;
};

struct arena {
	struct memory *memory;
	struct block *blocks;
	unsigned char *free; /* of the newest block */
	size_t left;
	size_t next_bytes;
};

enum { ALIGN = 16, FIRST_BLOCK = 16384, LARGEST_BLOCK = 4 << 20 };

_Noreturn void memory_spent(struct memory *memory)
{
	longjmp(*memory->out, 1);
}

static void *memory_take(struct memory *memory, size_t bytes)
{
	void *p = NULL;
	memory->count++;
	if (memory->count != memory->fail_at && bytes <= memory->limit - memory->used)
		p = calloc(1, bytes);
	if (!p)
		memory_spent(memory);
	memory->used += bytes;
	return p;
}

struct arena *arena_open(struct memory *memory)
{
	struct arena *arena = memory_take(memory, sizeof *arena);
	arena->memory = memory;
	arena->next_bytes = FIRST_BLOCK;
	return arena;
}

void arena_close(struct arena *arena)
{
	if (!arena)
		return;
	for (struct block *b = arena->blocks, *next; b; b = next) {
		next = b->next;
		arena->memory->used -= b->bytes;
		free(b);
	}
	arena->memory->used -= sizeof *arena;
	free(arena);
}

struct memory *arena_memory(const struct arena *arena)
{
	return arena->memory;
}

static void *block_new(struct arena *arena, size_t payload)
{
	const size_t head = (sizeof(struct block) + ALIGN - 1) / ALIGN * ALIGN;
	if (payload > SIZE_MAX - head)
		memory_spent(arena->memory);
	struct block *b = memory_take(arena->memory, head + payload);
	b->bytes = head + payload;
	b->next = arena->blocks;
	arena->blocks = b;
	return (unsigned char *)b + head;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - ALIGN)
		memory_spent(arena->memory);
	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (bytes > arena->left) {
		if (bytes > arena->next_bytes / 4)
			return block_new(arena,
					 bytes); /* its own block; the current one stays in use */
		arena->free = block_new(arena, arena->next_bytes);
		arena->left = arena->next_bytes;
		if (arena->next_bytes < LARGEST_BLOCK)
			arena->next_bytes *= 2;
	}
	void *p = arena->free;
	arena->free += bytes;
	arena->left -= bytes;
	return p;
}

void *arena_copy(struct arena *arena, const void *p, size_t bytes)
{
	void *copy = arena_alloc(arena, bytes, 1);
	if (bytes)
		memcpy(copy, p, bytes);
	return copy;
}

char *arena_string(struct arena *arena, const char *s)
{
	return arena_copy(arena, s, strlen(s) + 1);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		memory_spent(arena->memory);
	char *s = arena_new(arena, char, (size_t)length + 1);
	va_start(args, format);
	vsnprintf(s, (size_t)length + 1, format, args);
	va_end(args);
	return s;
}

void *arena_grow(struct arena *arena, void *array, size_t n, size_t size)
{
	if (array && (n < 4 || (n & (n - 1))))
		return array; /* capacity is 4 or the next power of two */
	size_t capacity = n < 4 ? 4 : n * 2;
	void *larger = arena_alloc(arena, capacity, size);
	if (n)
		memcpy(larger, array, n * size);
	return larger;
}
