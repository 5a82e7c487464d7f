/* Open addressing, linear probing, at most half full.  Hashes start from the table's address, so
 * that a file cannot be written whose names all collide. */
#include "names.h"

#include <string.h>

struct name {
	const char *key; /* NULL: free */
	void *value;
	uint64_t hash;
};

struct names {
	struct arena *arena;
	struct name *slot;
	size_t capacity, used; /* capacity is a power of two */
	uint64_t seed;
};

struct names *names_new(struct arena *arena)
{
	struct names *names = arena_new(arena, struct names, 1);
	names->arena = arena;
	names->capacity = 16;
	names->seed = (uint64_t)(uintptr_t)names * 0x9e3779b97f4a7c15u;
	names->slot = arena_new(arena, struct name, names->capacity);
	return names;
}

static uint64_t hash_of(const struct names *names, const char *key)
{
	uint64_t h = 0xcbf29ce484222325u ^ names->seed; /* FNV-1a */
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3u;
	return h ^ h >> 32;
}

static struct name *probe(const struct names *names, const char *key, uint64_t hash)
{
	size_t i = (size_t)hash & (names->capacity - 1);
	while (names->slot[i].key &&
	       (names->slot[i].hash != hash || strcmp(names->slot[i].key, key)))
		i = (i + 1) & (names->capacity - 1);
	return &names->slot[i];
}

static void grow(struct names *names)
{
	struct names larger = *names;
	larger.capacity *= 2;
	larger.slot = arena_new(names->arena, struct name, larger.capacity);
	for (size_t i = 0; i < names->capacity; i++)
		if (names->slot[i].key)
			*probe(&larger, names->slot[i].key, names->slot[i].hash) = names->slot[i];
	*names = larger;
}

void **names_slot(struct names *names, const char *key)
{
	uint64_t hash = hash_of(names, key);
	if (2 * (names->used + 1) > names->capacity)
		grow(names);
	struct name *name = probe(names, key, hash);
	if (!name->key) {
		name->key = key;
		name->hash = hash;
		names->used++;
	}
	return &name->value;
}

void *names_find(const struct names *names, const char *key)
{
	return probe(names, key, hash_of(names, key))->value;
}
