/* The file that a process has mapped is found by the beginning of its name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "host/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void finds_our_own(void **state)
{
	static const struct {
		const char *prefix, *want; /* want: in the path; NULL: nothing is found */
	} rows[] = {
		{"unit_host_", "/unit_host_mapped"},
		{"libcmocka", "/libcmocka.so"},
		{"nothing-like-this", NULL},
		{"nit_host_mapped", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *path = ps_host_mapped_file(getpid(), rows[i].prefix);
		assert_int_equal(path != NULL, rows[i].want != NULL);
		if (path) {
			assert_int_equal(path[0], '/');
			assert_non_null(strstr(path, rows[i].want));
			assert_null(strchr(path, '\n'));
			assert_int_equal(access(path, R_OK), 0);
		}
		free(path);
	}
}

static void nobody_has_nothing(void **state)
{
	(void)state;
	assert_null(ps_host_mapped_file(0x7ffffff0, "lib")); /* over the kernel's highest */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_our_own),
		cmocka_unit_test(nobody_has_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
