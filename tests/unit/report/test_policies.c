/* What perseus cache simulate says, read as foreign input and shown in every form. */
#include "report/policies.h"
#include "report/policies_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define INTERVAL(key, v) "\"" key "\":{\"value\":" v ",\"low\":null,\"high\":null}"
#define COUNTS(epochs, looked, outside)                                                            \
	"\"epochs\":" epochs ",\"epochs_looked_at\":" looked ",\"epochs_outside\":" outside        \
	",\"switches\":0"
#define POLICY(name, share, more)                                                                  \
	"{\"policy\":\"" name "\"," INTERVAL("worst_share", share) "," INTERVAL(                   \
		"against_optp", "0.975") ",\"worst_epoch\":" share "," more "}"
#define TENANTS		"\"tenants\":[{\"tenant\":\"<b>\"," INTERVAL("share", "1.5") "}]"
#define WHOLE(policies) "{\"setting\":{\"workload\":\"a & b\"},\"policies\":[" policies "]}"

static const char good[] = WHOLE(POLICY("pf", "1.25", COUNTS("8", "8", "0") "," TENANTS) "," POLICY(
	"lru", "0.5", COUNTS("8", "0", "0") "," TENANTS));

static json_t *read_good(void)
{
	struct ps_error err = {0};
	json_t *shown = NULL;

	if (ps_report_policies_parse(good, strlen(good), &shown, &err) != PS_OK)
		fail_msg("%s (%s)", err.what, err.where);
	return shown;
}

static void has(const char *all, const char *part)
{
	if (!strstr(all, part))
		fail_msg("'%s' is not in: %s", part, all);
}

static void test_forms(void **state)
{
	json_t *shown = read_good();
	struct ps_strbuf text, markdown, page;
	struct ps_error err;

	(void)state;
	ps_strbuf_init(&text);
	ps_strbuf_init(&markdown);
	ps_strbuf_init(&page);
	ps_report_policies_text(shown, 100, &text);
	has(text.data, "Under pf the worst off tenant has 1.25 times its share");
	has(text.data, "not checked");
	ps_report_policies_markdown(shown, &markdown);
	has(markdown.data, "| lru |");
	has(markdown.data, "97.5 % of optp's throughput; in 0 of 8 epochs checked");
	has(markdown.data, "is the worst off tenant of lru (0.50).");
	assert_int_equal(ps_report_policies_html(shown, &page, &err), PS_OK);
	has(page.data, "<div class=\"verdict met\">");
	has(page.data, "models: a &amp; b</h1>");
	has(page.data, "&lt;b&gt;");
	assert_null(strstr(page.data, "<b>"));
	assert_null(strstr(page.data, "{{"));
	ps_strbuf_fini(&text);
	ps_strbuf_fini(&markdown);
	ps_strbuf_fini(&page);
	json_decref(shown);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *said, *where;
	} cases[] = {
		{"[]", "setting"},
		{"{}", "setting"},
		{"{\"setting\":{}}", "policies"},
		{WHOLE(""), "policies"},
		{WHOLE("1"), "policy"},
		{WHOLE("{\"policy\":3}"), "policy"},
		{WHOLE("{\"policy\":\"pf\",\"jain\":2}"), "jain"},
		{WHOLE("{\"policy\":\"pf\",\"jain\":{\"low\":\"0\"}}"), "jain"},
		{WHOLE(POLICY("pf", "1", "\"gap\":\"x\"")), "gap"},
		{WHOLE(POLICY("pf", "1", "\"epochs\":1.5")), "epochs"},
		{WHOLE(POLICY("pf", "1", COUNTS("1", "1", "0"))), "tenants"},
		{WHOLE(POLICY("pf", "1", COUNTS("1", "1", "0") ",\"tenants\":[{}]")), "tenant"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_error err = {0};
		json_t *shown = NULL;
		assert_int_equal(ps_report_policies_parse(cases[i].said, strlen(cases[i].said),
							  &shown, &err),
				 PS_EPARSE);
		assert_string_equal(err.where, cases[i].where);
		assert_null(shown);
	}
	assert_int_equal(ps_report_policies_parse("{", 1, &(json_t *){NULL}, NULL), PS_EPARSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
