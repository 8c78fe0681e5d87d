/* Models: names, versions, folders, and the table of states. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "repo/repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct ps_repo *filled(void)
{
	static const struct {
		const char *name;
		int64_t version;
	} models[] = {{"b", 2}, {"a", 10}, {"b", 1}, {"bb", 5}, {"a", 9}, {"B", 3}};
	struct ps_repo *r;
	assert_int_equal(ps_repo_new(&r), PS_OK);
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		assert_int_equal(ps_repo_add(r, models[i].name, models[i].version, "x.onnx", NULL),
				 PS_OK);
	return r;
}

struct find_row {
	const char *name;
	int64_t version, found; /* 0: none */
};

static const struct find_row find_rows[] = {
	{"a", 0, 10},  {"a", 9, 9},  {"a", 10, 10}, {"a", 1, 0},	 {"b", 0, 2}, {"b", 1, 1},
	{"bb", 0, 5},  {"bb", 1, 0}, {"B", 0, 3},   {"c", 0, 0},	 {"", 0, 0},  {"bbb", 0, 0},
	{"a", -1, 10}, {"aa", 0, 0}, {"A", 0, 0},   {"a", INT64_MAX, 0},
};

static void models_are_found_by_name_and_version(void **state)
{
	struct ps_repo *r = filled();
	(void)state;
	for (size_t i = 0; i < sizeof find_rows / sizeof *find_rows; i++) {
		const struct find_row *f = &find_rows[i];
		int m = ps_repo_find(r, f->name, strlen(f->name), f->version);
		if ((m >= 0 ? ps_repo_get(r, m)->version : 0) != f->found)
			fail_msg("%s %lld", f->name, (long long)f->version);
		if (m >= 0)
			assert_string_equal(ps_repo_get(r, m)->name, f->name);
	}
	assert_int_equal(ps_repo_find(r, "abc", 1, 0), ps_repo_find(r, "a", 1, 0));
	assert_int_equal(ps_repo_find(r, "a\0b", 3, 0), -1);
	ps_repo_free(r);
}

static void versions_come_in_order(void **state)
{
	struct ps_repo *r = filled();
	int m[4];
	(void)state;
	assert_int_equal(ps_repo_versions(r, "a", m, 4), 2);
	assert_string_equal(ps_repo_get(r, m[0])->version_text, "9");
	assert_string_equal(ps_repo_get(r, m[1])->version_text, "10");
	assert_int_equal(ps_repo_versions(r, "a", m, 1), 2);
	assert_int_equal(ps_repo_versions(r, "zz", m, 4), 0);
	ps_repo_free(r);
}

struct add_row {
	const char *name;
	int64_t version;
	enum ps_status status;
};

static const struct add_row add_rows[] = {
	{"resnet-50_v1.5", 1, PS_OK}, {"a", 9, PS_EEXIST},
	{"", 1, PS_EINVAL},	      {"a/b", 1, PS_EINVAL},
	{"a b", 1, PS_EINVAL},	      {"\xc3\xa9", 1, PS_EINVAL},
	{"x", 0, PS_EINVAL},	      {"x", PS_REPO_MAX_VERSION + 1, PS_EINVAL},
};

static void bad_models_are_refused(void **state)
{
	struct ps_repo *r = filled();
	(void)state;
	for (size_t i = 0; i < sizeof add_rows / sizeof *add_rows; i++)
		assert_int_equal(
			ps_repo_add(r, add_rows[i].name, add_rows[i].version, "x.onnx", NULL),
			add_rows[i].status);
	ps_repo_free(r);
}

/* Rows: from; columns: to. */
static const char *const changes[PS_REPO_STATE_COUNT] = {
	[PS_REPO_UNLOADED] = ".x...", [PS_REPO_LOADING] = "..xx.",   [PS_REPO_READY] = "....x",
	[PS_REPO_FAILED] = ".x...",   [PS_REPO_UNLOADING] = "x....",
};

static void only_the_table_changes_states(void **state)
{
	(void)state;
	for (int from = 0; from < PS_REPO_STATE_COUNT; from++)
		for (int to = 0; to < PS_REPO_STATE_COUNT; to++)
			assert_int_equal(ps_repo_may_change(from, to), changes[from][to] == 'x');
	assert_false(ps_repo_may_change(PS_REPO_READY, PS_REPO_STATE_COUNT));
}

static void a_forbidden_change_changes_nothing(void **state)
{
	struct ps_repo *r = filled();
	struct ps_error why;
	(void)state;
	ps_error_set(&why, PS_EPARSE, "truncated");
	assert_int_equal(ps_repo_set_state(r, 0, PS_REPO_READY, NULL), PS_EINTERNAL);
	assert_int_equal(ps_repo_get(r, 0)->state, PS_REPO_UNLOADED);
	assert_int_equal(ps_repo_in_state(r, PS_REPO_UNLOADED), 6);
	assert_int_equal(ps_repo_set_state(r, 0, PS_REPO_LOADING, NULL), PS_OK);
	assert_int_equal(ps_repo_set_state(r, 0, PS_REPO_FAILED, &why), PS_OK);
	assert_string_equal(ps_repo_get(r, 0)->error.what, "truncated");
	assert_int_equal(ps_repo_in_state(r, PS_REPO_FAILED), 1);
	assert_int_equal(ps_repo_set_state(r, 0, PS_REPO_LOADING, NULL), PS_OK);
	assert_string_equal(ps_repo_get(r, 0)->error.what, "");
	assert_int_equal(ps_repo_in_state(r, PS_REPO_FAILED), 0);
	ps_repo_free(r);
}

static void make_file(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(ps_file_write(path, "", 0, NULL), PS_OK);
}

static void a_folder_is_scanned(void **state)
{
	static const char *const files[] = {"z.onnx", "a.synthetic.yaml", ".hidden.onnx",
					    "notes.txt", ".onnx"};
	char dir[] = "/tmp/perseus-repo-XXXXXX", path[512];
	struct ps_repo *r;
	struct ps_error err;
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(ps_repo_new(&r), PS_OK);
	assert_int_equal(ps_repo_scan(r, dir, &err), PS_ENOTFOUND);
	assert_string_equal(err.where, dir);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		make_file(dir, files[i]);
	assert_int_equal(ps_repo_scan(r, dir, &err), PS_OK);
	assert_int_equal(ps_repo_count(r), 2);
	assert_string_equal(ps_repo_get(r, 0)->name, "a");
	assert_string_equal(ps_repo_get(r, 1)->name, "z");
	snprintf(path, sizeof path, "%s/z.onnx", dir);
	assert_string_equal(ps_repo_get(r, 1)->path, path);
	make_file(dir, "a.onnx"); /* the same name twice */
	ps_repo_free(r);
	assert_int_equal(ps_repo_new(&r), PS_OK);
	assert_int_equal(ps_repo_scan(r, dir, &err), PS_EEXIST);
	ps_repo_free(r);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/a.onnx", dir);
	unlink(path);
	rmdir(dir);
}

static void a_missing_folder_is_named(void **state)
{
	struct ps_repo *r;
	struct ps_error err;
	(void)state;
	assert_int_equal(ps_repo_new(&r), PS_OK);
	assert_int_equal(ps_repo_scan(r, "/nonexistent/models", &err), PS_ENOTFOUND);
	assert_string_equal(err.where, "/nonexistent/models");
	ps_repo_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_are_found_by_name_and_version),
		cmocka_unit_test(versions_come_in_order),
		cmocka_unit_test(bad_models_are_refused),
		cmocka_unit_test(only_the_table_changes_states),
		cmocka_unit_test(a_forbidden_change_changes_nothing),
		cmocka_unit_test(a_folder_is_scanned),
		cmocka_unit_test(a_missing_folder_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
