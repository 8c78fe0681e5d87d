#include "base/heap.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ITEMS = 300, STEPS = 20000 };

struct item {
	struct ps_heap_node node;
	int64_t key;
	uint64_t arrival;
	bool inside;
};

/* The slow truth: least key, then first come. */
static struct item *least(struct item *items)
{
	struct item *best = NULL;

	for (int i = 0; i < ITEMS; i++)
		if (items[i].inside &&
		    (!best || items[i].key < best->key ||
		     (items[i].key == best->key && items[i].arrival < best->arrival)))
			best = &items[i];
	return best;
}

static void check(const struct ps_heap *h, struct item *items, size_t len)
{
	struct item *want = least(items);

	assert_int_equal(h->len, len);
	assert_ptr_equal(ps_heap_peek(h), want ? &want->node : NULL);
	for (size_t i = 0; i < h->len; i++)
		assert_int_equal(h->items[i]->index, i);
}

static void test_against_a_list(void **state)
{
	static struct item items[ITEMS];
	struct ps_rng rng;
	struct ps_heap h;
	uint64_t arrivals = 0;
	size_t len = 0;

	(void)state;
	ps_rng_init(&rng, 5, 1);
	ps_heap_init(&h);
	for (int i = 0; i < ITEMS; i++)
		ps_heap_node_init(&items[i].node);
	for (int step = 0; step < STEPS; step++) {
		struct item *x = &items[ps_rng_below(&rng, ITEMS)];
		uint64_t what = ps_rng_below(&rng, 10);
		if (what < 5 && !x->inside) {
			x->key = (int64_t)ps_rng_below(&rng, 20); /* many equal keys */
			x->arrival = arrivals++;
			x->inside = true;
			assert_int_equal(ps_heap_push(&h, &x->node, x->key), PS_OK);
			len++;
		} else if (what < 5) {
			x->key = (int64_t)ps_rng_below(&rng, 20);
			x->arrival = arrivals++;
			ps_heap_move(&h, &x->node, x->key);
		} else if (what < 8) {
			struct item *want = least(items);
			struct ps_heap_node *got = ps_heap_pop(&h);
			assert_ptr_equal(got, want ? &want->node : NULL);
			if (want) {
				want->inside = false;
				assert_false(ps_heap_contains(&want->node));
				len--;
			}
		} else {
			ps_heap_remove(&h, &x->node); /* outside: nothing happens */
			len -= x->inside;
			x->inside = false;
		}
		if (step % 16 == 0)
			check(&h, items, len);
	}
	check(&h, items, len);
	ps_heap_fini(&h);
}

static void test_extreme_keys(void **state)
{
	static const int64_t keys[] = {INT64_MAX, 0, INT64_MIN, -1, INT64_MAX};
	static const int64_t sorted[] = {INT64_MIN, -1, 0, INT64_MAX, INT64_MAX};
	struct ps_heap_node nodes[5];
	struct ps_heap h;

	(void)state;
	ps_heap_init(&h);
	assert_null(ps_heap_peek(&h));
	assert_null(ps_heap_pop(&h));
	for (int i = 0; i < 5; i++) {
		ps_heap_node_init(&nodes[i]);
		ps_heap_push(&h, &nodes[i], keys[i]);
	}
	for (int i = 0; i < 5; i++)
		assert_true(ps_heap_pop(&h)->key == sorted[i]);
	ps_heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_list),
		cmocka_unit_test(test_extreme_keys),
	};

	return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}
