/* check.c - --check-config: what a start does and looks at, without what others would notice. No
 * address is taken, nothing is written, no model is opened. It may run beside a server that serves
 * the same configuration.
 */
#include "base/file.h"
#include "base/log.h"
#include "serve/admin_internal.h"
#include "store/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- where it will write --- */

static enum ps_status may_write(const char *path, bool is_folder, struct ps_error *err)
{
	struct stat st;
	int e = stat(path, &st) != 0 ? errno : is_folder && !S_ISDIR(st.st_mode) ? ENOTDIR : 0;
	if (e == 0 && access(path, is_folder ? W_OK | X_OK : W_OK) != 0)
		e = errno;
	if (e == 0)
		return PS_OK;
	enum ps_status status = ps_error_errno(err, e, "cannot write");
	ps_error_where(err, "%s", path);
	return status;
}

/* Cuts the last part of a path off; "." and "/" are their own parents. */
static void to_parent(char *path)
{
	char *slash = strrchr(path, '/');
	if (!slash)
		strcpy(path, ".");
	else
		slash[slash == path] = '\0';
}

/* In the folder of `path`; with `makes` in the nearest one above that is there. */
static enum ps_status check_parent(const char *path, bool makes, struct ps_error *err)
{
	char *dir = malloc(strlen(path) + 2);
	if (!dir)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	strcpy(dir, path);
	to_parent(dir);
	while (makes && access(dir, F_OK) != 0 && strcmp(dir, ".") != 0 && strcmp(dir, "/") != 0)
		to_parent(dir);
	enum ps_status status = may_write(dir, true, err);
	free(dir);
	return status;
}

static enum ps_status check_log(const struct ps_serve_config *c, struct ps_error *err)
{
	if (!c->access_log_file)
		return PS_OK;
	return ps_file_exists(c->access_log_file) ? may_write(c->access_log_file, false, err)
						  : check_parent(c->access_log_file, false, err);
}

/* A state that a server keeps at the moment is fine: it may be the one that is to be reloaded. */
static enum ps_status check_state(const struct ps_serve_config *c, struct ps_error *err)
{
	struct ps_state *state = NULL;
	if (!c->state)
		return PS_OK;
	if (access(c->state, F_OK) != 0)
		return check_parent(c->state, true, err);
	enum ps_status status = may_write(c->state, true, err);
	if (status == PS_OK)
		status = ps_state_open_reading(c->state, &state, err);
	ps_state_close(state);
	return status == PS_ENOTFOUND ? PS_OK : status;
}

/* --- what it will listen on --- */

static enum ps_status check_list(const struct ps_conf_texts *list, const char *key,
				 struct ps_error *err)
{
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < list->len; i++) {
		struct ps_serve_address a;
		struct ps_net_address address;
		status = ps_serve_address_parse(list->items[i], &a, err);
		if (status == PS_OK && a.kind == PS_SERVE_TCP)
			status = ps_net_resolve(a.host, a.port, &address, err);
		else if (status == PS_OK && a.kind == PS_SERVE_UNIX)
			status = check_parent(a.path, false, err);
		if (status != PS_OK && !err->where[0])
			ps_error_where(err, "%s", key);
	}
	return status;
}

static enum ps_status check_listeners(const struct ps_serve_config *c, struct ps_error *err)
{
	struct ps_net_tls *tls = NULL;
	enum ps_status status = check_list(&c->listen, "listen", err);
	if (status == PS_OK)
		status = check_list(&c->grpc, "grpc", err);
	if (status == PS_OK)
		status = check_list(&c->metrics, "metrics", err);
	if (status == PS_OK)
		status = ps_serve_tls_new(c, &tls, err);
	ps_net_tls_free(tls);
	return status;
}

/* --- what it will run models with --- */

static enum ps_status check_engines(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = PS_OK;
	for (int i = 0; status == PS_OK && i < ps_repo_instances(s->repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(s->repo, i);
		struct ps_serve_engine engine;
		if (in->state == PS_REPO_INSTANCE_WAITING)
			status = ps_serve_engine_for(s, in->path, &in->rnn, &engine, err);
	}
	if (status == PS_OK || s->snapshot->config->exit_on_error)
		return status;
	ps_log_error(PS_LOG_WARN, "models", err);
	return PS_OK;
}

static enum ps_status check(struct ps_serve *s, struct ps_error *err)
{
	enum ps_status status = ps_serve_configure(s, err);
	if (status == PS_OK)
		status = check_listeners(s->snapshot->config, err);
	if (status == PS_OK)
		status = ps_serve_start_runs(s, err);
	if (status == PS_OK)
		status = check_log(s->snapshot->config, err);
	if (status == PS_OK)
		status = check_state(s->snapshot->config, err);
	if (status == PS_OK)
		status = ps_serve_apply_models(s, s->snapshot, NULL, err);
	return status == PS_OK ? check_engines(s, err) : status;
}

enum ps_status ps_serve_check(const struct ps_serve_options *options, struct ps_error *err)
{
	struct ps_error own = {0};
	struct ps_serve *s = NULL;
	err = err ? err : &own;
	enum ps_status status = ps_serve_new(options, &s, err);
	if (status == PS_OK)
		status = check(s, err);
	ps_serve_free(s);
	return status;
}
