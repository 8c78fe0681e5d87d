// needs: store
/* A damaged store under the report: refused, or reported on, never a crash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/report.h"
#include "unit/report/campaign.h"

static enum ps_status report(const char *path)
{
	struct ps_report_answer a;
	struct ps_store_campaign *c = NULL;
	struct ps_store *s = NULL;
	enum ps_status st = ps_store_open(path, PS_STORE_READ, &s, NULL);
	if (st != PS_OK)
		return st;
	st = ps_store_campaign_read(s, 0, &c, NULL);
	if (st == PS_OK) {
		st = ps_report_build(c, &a, NULL);
		if (st == PS_OK)
			ps_report_fini(&a);
	}
	ps_store_campaign_free(c);
	ps_store_close(s);
	return st;
}

static void test_flipped_bytes(void **state)
{
	char path[] = "/tmp/ps-damaged-XXXXXX", *data = NULL;
	size_t len = 0;
	int refused = 0;
	(void)state;
	assert_int_equal(make_store(path, &data, &len), PS_OK);
	assert_int_equal(report(path), PS_OK);
	size_t step = len / 400;
	for (size_t at = 100; at < len; at += step | 1) {
		data[at] = (char)(data[at] ^ 0x10);
		assert_int_equal(ps_file_write(path, data, len, NULL), PS_OK);
		data[at] = (char)(data[at] ^ 0x10);
		refused += report(path) != PS_OK;
	}
	assert_true(refused > 0);
	free(data);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_flipped_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
