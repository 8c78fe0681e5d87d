/* calibration.c - runs a model on inputs from files, for whoever watches it meanwhile.
 *
 * What `path` may be:
 *	a file		*.npy, for a model of one input
 *	a folder	of a model of one input: each *.npy in it is an input of its own
 *	a folder	of a model of several: INPUT.npy for each, "/" in a name written as "_"; or
 *			folders of such files, one per set
 */
#include "engine/engine_internal.h"

#include "base/arena.h"
#include "base/file.h"
#include "model/npy.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE_BYTES ((size_t)1 << 30)

struct calibration {
	const struct ps_engine_lender *lender; /* NULL: nobody else uses the CPUs */
	const struct ps_engine_ops *ops;
	struct ps_engine_instance *instance;
	struct ps_engine_describe d;
	struct ps_tensor in[PS_MODEL_MAX_TENSORS];
	int sets;
};

static bool is_npy(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".npy") == 0;
}

static bool is_folder(const char *path)
{
	struct stat s;

	return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* ---- one run ---- */

static void *from_arena(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

static enum ps_status run(struct calibration *c, struct ps_error *err)
{
	struct ps_tensor out[PS_MODEL_MAX_TENSORS] = {0};
	struct ps_arena arena;
	struct ps_engine_run r = {.inputs = c->in,
				  .outputs = out,
				  .n_inputs = c->d.n_inputs,
				  .n_outputs = c->d.n_outputs,
				  .alloc = from_arena,
				  .alloc_ctx = &arena};

	ps_arena_init(&arena, 0);
	ps_engine_borrow(c->lender);
	enum ps_status st = c->ops->run(c->instance, &r, err);
	ps_engine_give_back(c->lender);
	ps_arena_fini(&arena);
	c->sets += st == PS_OK;
	return st;
}

static enum ps_status read_input(struct calibration *c, int k, const char *path,
				 struct ps_error *err)
{
	struct ps_tensor *t = &c->in[k];
	char *file;
	size_t n;
	enum ps_status st = ps_file_read(path, MAX_FILE_BYTES, &file, &n, err);

	if (st != PS_OK)
		return st;
	*t = (struct ps_tensor){.name = c->d.inputs[k].name, .dtype = c->d.inputs[k].dtype};
	t->data = file;
	st = ps_npy_take(&c->d.inputs[k], file, n, t, err);
	ps_error_where(st == PS_OK ? NULL : err, "%s", path);
	return st;
}

static void forget(struct calibration *c)
{
	for (int k = 0; k < c->d.n_inputs; k++) {
		free(c->in[k].data);
		c->in[k].data = NULL;
	}
}

static enum ps_status run_file(struct calibration *c, const char *path, struct ps_error *err)
{
	enum ps_status st = read_input(c, 0, path, err);

	if (st == PS_OK)
		st = run(c, err);
	forget(c);
	return st;
}

/* ---- folders ---- */

static bool join(char to[PS_FILE_PATH], const char *folder, const char *name, const char *end)
{
	int n = snprintf(to, PS_FILE_PATH, "%s/%s%s", folder, name, end);

	return n > 0 && n < PS_FILE_PATH;
}

static enum ps_status run_set(struct calibration *c, const char *folder, struct ps_error *err)
{
	char path[PS_FILE_PATH], name[PS_TENSOR_MAX_NAME];
	enum ps_status st = PS_OK;

	for (int k = 0; st == PS_OK && k < c->d.n_inputs; k++) {
		snprintf(name, sizeof name, "%s", c->d.inputs[k].name);
		for (char *p = name; *p; p++)
			*p = *p == '/' ? '_' : *p;
		st = join(path, folder, name, ".npy")
			     ? read_input(c, k, path, err)
			     : ps_error_set(err, PS_EINVAL, "a path of over %d bytes",
					    PS_FILE_PATH);
	}
	if (st == PS_OK)
		st = run(c, err);
	forget(c);
	return st;
}

/* The next of a sorted folder; false: it is none of ours. */
static bool is_set(const struct calibration *c, const char *folder, const char *name,
		   char path[PS_FILE_PATH])
{
	if (name[0] == '.' || !join(path, folder, name, ""))
		return false;
	return c->d.n_inputs == 1 ? is_npy(name) : is_folder(path);
}

static enum ps_status run_folder(struct calibration *c, const char *folder, struct ps_error *err)
{
	char path[PS_FILE_PATH];
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);
	enum ps_status st = PS_OK;

	for (int i = 0; i < n; i++) {
		if (st == PS_OK && is_set(c, folder, names[i]->d_name, path))
			st = c->sets == PS_ENGINE_MAX_SETS
				     ? ps_error_set(err, PS_ETOOBIG, "over %d calibration inputs",
						    PS_ENGINE_MAX_SETS)
			     : c->d.n_inputs == 1 ? run_file(c, path, err)
						  : run_set(c, path, err);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (st != PS_OK || c->sets > 0)
		return st;
	if (c->d.n_inputs > 1)
		return run_set(c, folder, err);
	return ps_error_set(err, PS_EINVAL, "no *.npy file is in it");
}

enum ps_status ps_engine_calibrate(const struct ps_engine_ops *ops, struct ps_engine_instance *i,
				   const struct ps_engine_lender *lender, const char *path,
				   int *ret_sets, struct ps_error *err)
{
	struct calibration c = {.ops = ops, .instance = i, .lender = lender};
	struct ps_error own;
	enum ps_status st;

	if (!err)
		err = &own;
	ps_error_clear(err);
	ops->describe(i, &c.d);
	if (is_folder(path))
		st = run_folder(&c, path, err);
	else if (c.d.n_inputs == 1)
		st = run_file(&c, path, err);
	else
		st = ps_error_set(err, PS_EINVAL,
				  "the model has %d inputs: a folder of INPUT.npy files is due",
				  c.d.n_inputs);
	if (st != PS_OK && !err->where[0])
		ps_error_where(err, "%s", path);
	*ret_sets = c.sets;
	return st;
}
