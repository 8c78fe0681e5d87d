/* Folders of models: what is listed, and how a listing becomes models. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "repo/repo.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/perseus-layout-XXXXXX";

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *ftw)
{
	(void)s;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int clean(void **state)
{
	(void)state;
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static const char *at(const char *path)
{
	static char full[512];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return full;
}

static void file(const char *path, const char *text)
{
	char dir[512], *slash;

	snprintf(dir, sizeof(dir), "%s", at(path));
	slash = strrchr(dir, '/');
	*slash = '\0';
	assert_int_equal(ps_file_mkdirs(dir, NULL), PS_OK);
	assert_int_equal(ps_file_write(at(path), text, strlen(text), NULL), PS_OK);
}

static struct ps_repo_listing *listing(void)
{
	struct ps_repo_listing *l = NULL;
	struct ps_error err;

	ps_error_clear(&err);
	if (ps_repo_list(root, &l, &err) != PS_OK)
		fail_msg("%s", err.what);
	return l;
}

/* "a:1,2 b:1! " - names, versions, '!' for one with an error. */
static void expect(const char *expected)
{
	struct ps_repo_listing *l = listing();
	char got[1024] = "";
	size_t n = 0;

	for (int i = 0; i < l->n_entries; i++) {
		const struct ps_repo_entry *e = &l->entries[i];

		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s:", e->name);
		for (int k = 0; k < e->n_files; k++) {
			const struct ps_repo_file *f = &l->files[e->first_file + k];

			assert_string_equal(f->name, e->name);
			n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%d", k ? "," : "",
					      (int)f->version);
		}
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s ", e->status ? "!" : "");
		assert_ptr_equal(ps_repo_listing_find(l, e->name), e);
	}
	ps_repo_listing_free(l);
	assert_string_equal(got, expected);
}

static void plain_files_and_folders_are_models(void **state)
{
	(void)state;
	expect("");
	file("b.onnx", "x");
	file("a-b.onnx", "x");
	file("a.synthetic.yaml", "x");
	file("readme.txt", "x");
	file(".hidden.onnx", "x");
	file("docs/readme.txt", "x");
	file("net/10/model.onnx", "x");
	file("net/9/model.onnx", "x");
	file("net/config.pbtxt", "max_batch_size: 4");
	file("net/010/model.onnx", "x");
	file("net/0/model.onnx", "x");
	file("net/1234567890/model.onnx", "x");
	file("net/new/model.onnx", "x");
	file("syn/1/model.synthetic.yaml", "x");
	expect("a:1 a-b:1 b:1 net:9,10 syn:1 ");
}

static void the_file_of_a_version_is_found(void **state)
{
	struct ps_repo_listing *l;

	(void)state;
	file("a/1/model.synthetic.yaml", "x");
	file("b/1/net.onnx", "x");
	file("b/config.pbtxt", "default_model_filename: \"net.onnx\"");
	file("c/3/other.onnx", "x"); /* no model.onnx: loading it will say so */
	l = listing();
	assert_string_equal(l->files[0].path, at("a/1/model.synthetic.yaml"));
	assert_int_equal(l->files[0].identity.bytes, 1);
	assert_string_equal(l->files[1].path, at("b/1/net.onnx"));
	assert_string_equal(l->files[2].path, at("c/3/model.onnx"));
	assert_int_equal(l->files[2].identity.bytes, 0);
	ps_repo_listing_free(l);
}

static void one_bad_model_does_not_spoil_the_others(void **state)
{
	struct ps_repo_listing *l;

	(void)state;
	file("good.onnx", "x");
	file("bad/1/model.onnx", "x");
	file("bad/config.pbtxt", "max_batch_size: lots");
	file("empty/config.pbtxt", "");
	file("other/1/model.onnx", "x");
	file("other/config.pbtxt", "name: \"another\"");
	file("twice.onnx", "x");
	file("twice.synthetic.yaml", "x");
	file("a b.onnx", "x");
	expect("a b:1! bad:1! empty:! good:1 other:1! twice:1! ");
	l = listing();
	assert_string_equal(ps_repo_listing_find(l, "bad")->error.what,
			    "max_batch_size: a whole number is expected");
	assert_non_null(strstr(ps_repo_listing_find(l, "bad")->error.where, "config.pbtxt:1:17"));
	assert_non_null(strstr(ps_repo_listing_find(l, "other")->error.what, "\"another\""));
	ps_repo_listing_free(l);
}

static void a_missing_folder_is_an_error(void **state)
{
	struct ps_repo_listing *l;

	(void)state;
	assert_int_equal(ps_repo_list("/nonexistent", &l, NULL), PS_ENOTFOUND);
}

/* ---- listings become models ---- */

static struct ps_repo_changes apply(struct ps_repo *r)
{
	struct ps_repo_listing *l = listing();
	struct ps_repo_changes changes;
	struct ps_error err;

	assert_int_equal(ps_repo_apply(r, l, 1, &changes, NULL), PS_OK);
	if (ps_repo_check(r, &err) != PS_OK)
		fail_msg("%s", err.what);
	ps_repo_listing_free(l);
	return changes;
}

static void expect_changes(struct ps_repo *r, int added, int changed, int removed, int refused)
{
	struct ps_repo_changes c = apply(r);

	if (c.added != added || c.changed != changed || c.removed != removed ||
	    c.refused != refused)
		fail_msg("%d added, %d changed, %d removed, %d refused", c.added, c.changed,
			 c.removed, c.refused);
}

static void a_rescan_tells_what_is_new_changed_and_gone(void **state)
{
	struct ps_repo *r;

	(void)state;
	assert_int_equal(ps_repo_new(&r), PS_OK);
	file("a.onnx", "1");
	file("n/1/model.onnx", "1");
	expect_changes(r, 2, 0, 0, 0);
	expect_changes(r, 0, 0, 0, 0);
	file("a.onnx", "22");
	file("n/2/model.onnx", "1");
	expect_changes(r, 1, 1, 0, 0);
	unlink(at("a.onnx"));
	expect_changes(r, 0, 0, 1, 0);
	assert_int_equal(ps_repo_find(r, "a", 1, 0), -1);
	file("a.onnx", "3");
	expect_changes(r, 1, 0, 0, 0);
	ps_repo_free(r);
}

static void other_sources_are_left_alone(void **state)
{
	struct ps_repo *r;

	(void)state;
	assert_int_equal(ps_repo_new(&r), PS_OK);
	assert_int_equal(ps_repo_put(r, "own", 1, "/x.onnx", NULL, 2, NULL, NULL), PS_OK);
	file("own.onnx", "1");
	expect_changes(r, 0, 0, 0, 0);
	assert_string_equal(ps_repo_get(r, 0)->path, "/x.onnx");
	ps_repo_free(r);
}

static void a_broken_configuration_keeps_what_was(void **state)
{
	struct ps_repo *r;
	int m, i;

	(void)state;
	assert_int_equal(ps_repo_new(&r), PS_OK);
	file("n/1/model.onnx", "1");
	file("n/config.pbtxt", "max_batch_size: 4");
	expect_changes(r, 1, 0, 0, 0);
	assert_int_equal(ps_repo_serve(r, "n", 0, true), PS_OK);
	i = ps_repo_next_load(r);
	ps_repo_loaded(r, i, PS_OK, NULL, NULL, NULL);
	file("n/config.pbtxt", "max_batch_size: x");
	file("n/2/model.onnx", "1");
	expect_changes(r, 0, 0, 0, 1);
	m = ps_repo_find(r, "n", 1, 0);
	assert_int_equal(ps_repo_get(r, m)->version, 1);
	assert_int_equal(ps_repo_serving(r, m, 0), i);
	assert_int_equal(ps_repo_config_of(r, "n")->max_batch_size, 4);
	assert_non_null(strstr(ps_repo_reason(r, m, 0)->what, "whole number"));
	file("n/config.pbtxt", "max_batch_size: 8");
	expect_changes(r, 1, 0, 0, 0);
	assert_int_equal(ps_repo_config_of(r, "n")->max_batch_size, 8);
	assert_int_equal(ps_repo_reason(r, m, 0)->status, PS_OK);
	assert_int_equal(ps_repo_next_load(r), 1); /* version 2 */
	ps_repo_free(r);
}

static void a_name_that_was_never_good_shows_why(void **state)
{
	struct ps_repo *r;
	int m;

	(void)state;
	assert_int_equal(ps_repo_new(&r), PS_OK);
	file("n/1/model.onnx", "1");
	file("n/config.pbtxt", "ensemble_scheduling { }");
	expect_changes(r, 1, 0, 0, 1);
	assert_int_equal(ps_repo_serve(r, "n", 0, true), PS_OK);
	m = ps_repo_find(r, "n", 1, 0);
	assert_int_equal(ps_repo_next_load(r), -1);
	assert_int_equal(ps_repo_state_of(r, m, 0), PS_REPO_FAILED);
	assert_non_null(strstr(ps_repo_reason(r, m, 0)->what, "ensembles are not served"));
	assert_int_equal(unlink(at("n/config.pbtxt")), 0);
	expect_changes(r, 0, 0, 0, 0);
	assert_true(ps_repo_next_load(r) >= 0);
	ps_repo_free(r);
}

static void model_files_are_known_by_suffix(void **state)
{
	(void)state;
	assert_true(ps_repo_is_model_file("/a.b/c.onnx"));
	assert_true(ps_repo_is_model_file("x.synthetic.yaml"));
	assert_false(ps_repo_is_model_file("/a.onnx/c"));
	assert_false(ps_repo_is_model_file(".onnx"));
	assert_false(ps_repo_is_model_file("x.yaml"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_files_and_folders_are_models),
		TEST(the_file_of_a_version_is_found),
		TEST(one_bad_model_does_not_spoil_the_others),
		TEST(a_missing_folder_is_an_error),
		TEST(a_rescan_tells_what_is_new_changed_and_gone),
		TEST(other_sources_are_left_alone),
		TEST(a_broken_configuration_keeps_what_was),
		TEST(a_name_that_was_never_good_shows_why),
		TEST(model_files_are_known_by_suffix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
