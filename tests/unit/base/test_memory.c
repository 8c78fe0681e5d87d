/* arena and strbuf */
#include "base/arena.h"
#include "base/rng.h"
#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Pieces of many sizes: aligned, apart from each other, and theirs until the end. */
static void test_arena_pieces(void **state)
{
	enum { PIECES = 2000 };
	static struct {
		unsigned char *at;
		size_t size;
	} p[PIECES];
	struct ps_arena a;
	struct ps_rng rng;

	(void)state;
	ps_rng_init(&rng, 1, 2);
	ps_arena_init(&a, 0);
	for (int i = 0; i < PIECES; i++) {
		bool tensor = ps_rng_below(&rng, 2);
		p[i].size = (size_t)ps_rng_below(&rng, i % 50 == 0 ? 40000 : 300);
		p[i].at = tensor ? ps_arena_alloc_tensor(&a, p[i].size)
				 : ps_arena_alloc(&a, p[i].size);
		assert_non_null(p[i].at);
		assert_int_equal((uintptr_t)p[i].at % (tensor ? PS_ARENA_ALIGN : 16), 0);
		memset(p[i].at, i, p[i].size);
	}
	for (int i = 0; i < PIECES; i++)
		for (size_t k = 0; k < p[i].size; k++)
			assert_int_equal(p[i].at[k], (unsigned char)i);
	ps_arena_fini(&a);
}

static void test_arena_limit(void **state)
{
	struct ps_arena a;

	(void)state;
	ps_arena_init(&a, 1000);
	assert_non_null(ps_arena_alloc(&a, 600));
	assert_null(ps_arena_alloc(&a, 401));
	assert_non_null(ps_arena_alloc(&a, 400));
	assert_null(ps_arena_alloc(&a, 1));
	assert_int_equal(a.used_bytes, 1000);
	ps_arena_reset(&a);
	assert_int_equal(a.used_bytes, 0);
	assert_non_null(ps_arena_alloc(&a, 1000));
	assert_null(ps_arena_alloc(&a, SIZE_MAX));
	assert_null(ps_arena_strndup(&a, "x", SIZE_MAX));
	ps_arena_fini(&a);
	ps_arena_init(&a, 0);
	assert_null(ps_arena_alloc(&a, SIZE_MAX / 2));
	char *s = ps_arena_strndup(&a, "abcdef", 3);
	assert_string_equal(s, "abc");
	unsigned char *z = ps_arena_zalloc(&a, 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(z[i], 0);
	ps_arena_fini(&a);
}

static void test_strbuf(void **state)
{
	struct ps_strbuf s;

	(void)state;
	ps_strbuf_init(&s);
	assert_string_equal(s.data, "");
	ps_strbuf_printf(&s, "%d-%s", 5, "x");
	ps_strbuf_putc(&s, '!');
	ps_strbuf_append(&s, "\0z", 2);
	assert_int_equal(s.len, 6);
	assert_memory_equal(s.data, "5-x!\0z", 7);
	ps_strbuf_clear(&s);
	assert_string_equal(s.data, "");
	for (int i = 0; i < 10000; i++)
		ps_strbuf_puts(&s, "0123456789");
	assert_int_equal(s.len, 100000);
	assert_int_equal(s.data[100000], '\0');
	char *taken = ps_strbuf_take_data(&s);
	assert_memory_equal(taken + 99990, "0123456789", 11);
	free(taken);
	assert_int_equal(s.len, 0);
	taken = ps_strbuf_take_data(&s); /* of an empty one: an empty string */
	assert_string_equal(taken, "");
	free(taken);
	ps_strbuf_fini(&s);
}

/* After a failure it keeps what it had and says so until the end. */
static void test_strbuf_failure(void **state)
{
	struct ps_strbuf s;

	(void)state;
	ps_strbuf_init(&s);
	ps_strbuf_puts(&s, "kept");
	assert_int_equal(ps_strbuf_reserve(&s, SIZE_MAX / 2), PS_ENOMEM);
	ps_strbuf_puts(&s, "lost");
	ps_strbuf_printf(&s, "%s", "lost");
	assert_string_equal(s.data, "kept");
	assert_int_equal(ps_strbuf_status(&s), PS_ENOMEM);
	assert_null(ps_strbuf_take_data(&s));
	ps_strbuf_fini(&s);
	assert_int_equal(ps_strbuf_status(&s), PS_OK);
	ps_strbuf_puts(&s, "again");
	assert_string_equal(s.data, "again");
	ps_strbuf_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_pieces),
		cmocka_unit_test(test_arena_limit),
		cmocka_unit_test(test_strbuf),
		cmocka_unit_test(test_strbuf_failure),
	};

	return cmocka_run_group_tests_name("base/memory", tests, NULL, NULL);
}
