/* Queues served in turn: scripts of pushes and pops against the expected order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sched/sched.h"

#include <string.h>

enum { QUEUES = 3, MAX_ITEMS = 64 };

struct request {
	struct ps_sched_item item;
	char name;
};

/* A letter pushes into its queue: a-h queue 0, i-p queue 1, q-z queue 2. '.' pops. '!' is a push
 * into queue 0 that must be refused. '~x' removes the queued x. What pops give must spell `order`;
 * '-' stands for an empty pop. */
struct row {
	const char *what, *script, *order;
	int64_t limit, weights[QUEUES];
};

static const struct row rows[] = {
	{"nothing waits", ".", "-", 9, {1, 1, 1}},
	{"first come, first served", "abc....", "abc-", 9, {1, 1, 1}},
	{"in turn", "abcijq......", "aiqbjc", 9, {1, 1, 1}},
	{"a burst does not delay others", "abcdefi.......", "aibcdef", 9, {1, 1, 1}},
	{"who was idle joins at the end", "abi.j.c..j...", "aibjcj-", 9, {1, 1, 1}},
	{"weight two", "abcdij......", "abicdj", 9, {2, 1, 1}},
	{"an unused rest of a turn is lost", "aij.b...", "aibj", 9, {2, 1, 1}},
	{"a full queue refuses", "ab!.c!...", "abc-", 2, {1, 1, 1}},
	{"removed from the front", "abc~a...", "bc-", 9, {1, 1, 1}},
	{"removed from the middle", "abc~b...", "ac-", 9, {1, 1, 1}},
	{"removed from the end, then pushed", "ab~bc...", "ac-", 9, {1, 1, 1}},
	{"the last one of the queue whose turn it is", "aij~a...", "ij-", 9, {1, 1, 1}},
	{"the last one of all", "a~a.", "-", 9, {1, 1, 1}},
};

static int queue_of(char c)
{
	return c <= 'h' ? 0 : c <= 'p' ? 1 : 2;
}

static void step(struct ps_sched *s, struct request **pool, char c, char *order)
{
	struct request *r = *pool;
	if (c == '.') {
		struct ps_sched_item *it = ps_sched_pop(s);
		size_t n = strlen(order);
		order[n] = it ? ((struct request *)it)->name : '-';
		order[n + 1] = '\0';
		if (it)
			assert_false(ps_sched_queued(it));
		return;
	}
	(*pool)++;
	ps_sched_item_init(&r->item);
	r->name = c;
	if (c == '!') {
		assert_int_equal(ps_sched_push(s, &r->item, 0), PS_EQUOTA);
		assert_false(ps_sched_queued(&r->item));
		return;
	}
	assert_int_equal(ps_sched_push(s, &r->item, queue_of(c)), PS_OK);
	assert_true(ps_sched_queued(&r->item));
}

static struct request *find(struct request *pool, const struct request *end, char name)
{
	struct request *found = NULL;
	for (struct request *r = pool; r < end; r++)
		if (r->name == name && ps_sched_queued(&r->item))
			found = r;
	return found;
}

static void run_row(const struct row *row)
{
	struct request pool[MAX_ITEMS], *next = pool;
	char order[MAX_ITEMS] = "";
	struct ps_sched s;
	assert_int_equal(ps_sched_init(&s, QUEUES), PS_OK);
	for (int q = 0; q < QUEUES; q++)
		ps_sched_configure(&s, q, row->limit, row->weights[q]);
	for (const char *p = row->script; *p; p++) {
		if (*p == '~') {
			struct request *r = find(pool, next, *++p);
			assert_non_null(r);
			ps_sched_remove(&s, &r->item);
			assert_false(ps_sched_queued(&r->item));
			continue;
		}
		step(&s, &next, *p, order);
	}
	if (strcmp(order, row->order) != 0)
		fail_msg("%s: %s instead of %s", row->what, order, row->order);
	ps_sched_fini(&s);
}

static void scripts_give_their_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		run_row(&rows[i]);
}

/* Whatever happens, a backlogged queue of weight 1 waits for at most one pop per other queue. */
static void nobody_starves(void **state)
{
	enum { N = 3000 };
	static struct request pool[N];
	struct ps_sched s;
	int since[QUEUES] = {0}, used = 0;
	uint64_t x = 1;
	(void)state;
	assert_int_equal(ps_sched_init(&s, QUEUES), PS_OK);
	for (int q = 0; q < QUEUES; q++)
		ps_sched_configure(&s, q, N, 1);
	while (used < N) {
		x = x * UINT64_C(6364136223846793005) + 1;
		int q = (int)(x >> 33) % QUEUES;
		if ((x >> 60) < 10) {
			ps_sched_item_init(&pool[used].item);
			pool[used].name = (char)q;
			assert_int_equal(ps_sched_push(&s, &pool[used++].item, q), PS_OK);
			continue;
		}
		for (int i = 0; i < QUEUES; i++)
			since[i] = s.queues[i].len > 0 ? since[i] + 1 : 0;
		struct request *r = (struct request *)ps_sched_pop(&s);
		for (int i = 0; i < QUEUES; i++)
			assert_true(since[i] <= QUEUES);
		if (r)
			since[(int)r->name] = 0;
	}
	ps_sched_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts_give_their_order),
		cmocka_unit_test(nobody_starves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
