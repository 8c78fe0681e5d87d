/* A hash table of texts. Its texts come from the operator's own configuration, so nobody else can
 * choose them to collide. */
#include "tenancy/tenancy_internal.h"

#include <stdlib.h>
#include <string.h>

enum ps_status ps_tenancy_words_init(struct tenancy_words *w, size_t n, bool fold)
{
	size_t size = 8;
	while (size < 2 * n + 1)
		size *= 2;
	w->slots = malloc(size * sizeof *w->slots);
	if (!w->slots)
		return PS_ENOMEM;
	for (size_t i = 0; i < size; i++)
		w->slots[i] = (struct tenancy_word){.who = PS_TENANCY_NONE};
	w->mask = size - 1;
	w->fold = fold;
	return PS_OK;
}

static unsigned char folded(const struct tenancy_words *w, char c)
{
	return (unsigned char)(w->fold && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same(const struct tenancy_words *w, const struct tenancy_word *slot, const char *text,
		 size_t len)
{
	if (slot->len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (folded(w, slot->text[i]) != folded(w, text[i]))
			return false;
	return true;
}

struct tenancy_word *ps_tenancy_words_find(const struct tenancy_words *w, const char *text,
					   size_t len)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		h = (h ^ folded(w, text[i])) * 0x100000001b3u;
	h ^= h >> 32;
	for (size_t at = (size_t)h & w->mask;; at = (at + 1) & w->mask) {
		struct tenancy_word *slot = &w->slots[at];
		if (slot->who == PS_TENANCY_NONE || same(w, slot, text, len))
			return slot;
	}
}
