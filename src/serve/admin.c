/* admin.c - the routes beside the request path. What takes longer than a moment is made by the
 * observer's thread and answered from its I/O thread afterwards. */
#include "base/clock.h"
#include "oip/admin.h"
#include "oip/grpc.h"
#include "serve/admin_routes_internal.h"

#include <stdio.h>
#include <string.h>

/* --- answers --- */

void ps_serve_admin_answer(struct ps_serve_call *c, struct ps_strbuf *text)
{
	if (c->wire == PS_SERVE_HTTP)
		ps_serve_answer_text(c, 200, "application/json", text);
	else
		ps_serve_answer_message(c, text);
}

void ps_serve_admin_refuse(struct ps_serve_call *c, enum ps_status status, const char *what)
{
	ps_error_set(&c->err, status, "%s", what);
	ps_serve_refuse(c);
}

enum ps_oip_form ps_serve_form(const struct ps_serve_call *c)
{
	return c->wire == PS_SERVE_HTTP ? PS_OIP_JSON : PS_OIP_PROTOBUF;
}

/* --- jobs --- */

static void on_made(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	struct ps_serve_call *c = j->call;
	if (j->status != PS_OK) {
		ps_strbuf_fini(&j->text);
		ps_serve_refuse(c);
		return;
	}
	if (j->type)
		ps_serve_answer_text(c, 200, j->type, &j->text);
	else
		ps_serve_admin_answer(c, &j->text);
}

void ps_serve_admin_make(struct ps_serve_call *c, void (*work)(struct ps_serve_job *job),
			 const char *type)
{
	struct ps_serve_admin_job *j = ps_arena_zalloc(c->arena, sizeof *j);
	if (!j) {
		ps_serve_admin_refuse(c, PS_ENOMEM, "out of memory");
		return;
	}
	j->job = (struct ps_serve_job){.work = work, .done = on_made, .loop = c->io->loop};
	j->call = c;
	j->type = type;
	ps_strbuf_init(&j->text);
	ps_serve_observe_post(c->io->server->observe, &j->job);
}

/* --- metrics --- */

static void make_metrics(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	const struct ps_serve_call *c = j->call;
	int viewer = c->tenant == PS_TENANCY_NONE ? PS_TENANCY_ADMIN : c->tenant;
	ps_serve_metrics_text(c->io->server, viewer, &j->text);
	j->status = ps_strbuf_status(&j->text);
	if (j->status != PS_OK)
		ps_error_set(&j->call->err, j->status, "out of memory");
}

void ps_serve_metrics(struct ps_serve_call *c)
{
	ps_serve_observe_look(c->io->server->observe);
	ps_serve_admin_make(c, make_metrics, PS_METRICS_CONTENT_TYPE);
}

/* --- statistics and index --- */

int64_t ps_serve_version_number(const char *text)
{
	int64_t v;
	if (!text[0])
		return 0;
	return ps_units_parse_int(text, &v, NULL) == PS_OK && v > 0 ? v : INT64_MAX;
}

static void make_statistics(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	struct ps_serve_call *c = j->call;
	j->status = ps_serve_stats_build(c->io->server, c->tenant, c->target.model,
					 ps_serve_version_number(c->target.version),
					 ps_serve_form(c), &j->text, &c->err);
}

static bool sees(const struct ps_tenancy *t, int tenant, const char *model)
{
	return ps_tenancy_sees(t, tenant, model);
}

/* By this server, or by one before it that kept its state here: of that the API's last word is
 * known, which spoke of the version that the name alone means. */
static bool was_loaded(const struct ps_serve *s, const struct ps_tenancy *t, int model, int domain)
{
	const char *name = ps_repo_get(s->repo, model)->name;
	const char *tenant = domain == PS_REPO_SHARED ? NULL : ps_tenancy_name(t, domain - 1);
	return ps_serve_was_loaded(s->observe, model) ||
	       (ps_repo_find(s->repo, name, strlen(name), 0) == model &&
		ps_serve_was_unloaded(s->admin, name, tenant));
}

/* Where a model is, for those who have a budget of memory. */
static const char *residency_of(const struct ps_serve_call *c, enum ps_repo_state state)
{
	static const char *const names[PS_REPO_STATE_COUNT] = {
		[PS_REPO_UNLOADED] = "unloaded", [PS_REPO_LOADING] = "loading",
		[PS_REPO_READY] = "resident",	 [PS_REPO_FAILED] = "failed",
		[PS_REPO_UNLOADING] = "leaving", [PS_REPO_ON_DISK] = "on disk"};
	return ps_dispatch_on_demand(c->io->server->dispatch) ? names[state] : NULL;
}

/* Why it failed and, when that was often, when it is tried again. */
static const char *reason_of(const struct ps_serve_call *c, int model, int domain,
			     const struct ps_error *why)
{
	char text[1024], eta[PS_UNITS_SIZE];
	int64_t pause_ns =
		ps_dispatch_pause_ns(c->io->server->dispatch, model, domain, ps_clock_now_ns());
	int n = snprintf(text, sizeof text, "%s", why->what);
	if (pause_ns > 0 && n < (int)sizeof text)
		snprintf(text + n, sizeof text - (size_t)n, " (tried again in %s)",
			 ps_units_format_eta(pause_ns, eta));
	return ps_arena_strndup(c->arena, text, strlen(text));
}

/* One row per version that was ever asked for; the name alone when none was. */
static struct ps_oip_index_row row_of(const struct ps_serve_call *c, const struct ps_repo *r,
				      int model, int domain)
{
	const struct ps_repo_model *m = ps_repo_get(r, model);
	enum ps_repo_state state = ps_repo_state_of(r, model, domain);
	const struct ps_error *why = ps_repo_reason(r, model, domain);
	struct ps_oip_index_row row = {.name = m->name, .version = "", .reason = ""};
	if (state == PS_REPO_UNLOADED && why->status == PS_OK &&
	    !ps_repo_wanted(r, model, domain) &&
	    !was_loaded(c->io->server, c->io->snapshot->tenancy, model, domain))
		return row;
	row.version = ps_arena_strndup(c->arena, m->version_text, strlen(m->version_text));
	row.state = ps_repo_index_state(state);
	row.residency = residency_of(c, state);
	if (why->status != PS_OK)
		row.reason = reason_of(c, model, domain, why);
	else if (state == PS_REPO_UNLOADED)
		row.reason = "unloaded";
	else if (state == PS_REPO_ON_DISK)
		row.reason = "on disk: loaded by its first request";
	if (!row.version || !row.reason)
		row.name = NULL;
	return row;
}

static bool is_ready(enum ps_repo_state state)
{
	return state == PS_REPO_READY || state == PS_REPO_ON_DISK;
}

static int list_rows(const struct ps_serve_call *c, const struct ps_tenancy *t,
		     struct ps_oip_index_row *rows, int n_all, bool ready_only)
{
	const struct ps_repo *r = c->io->server->repo;
	int domain = ps_serve_domain(t, c->tenant), n = 0;
	for (int i = 0; i < n_all; i++) {
		const struct ps_repo_model *m = ps_repo_get(r, i);
		if (m->gone || !sees(t, c->tenant, m->name) ||
		    (ready_only && !is_ready(ps_repo_state_of(r, i, domain))))
			continue;
		rows[n] = row_of(c, r, i, domain);
		n += rows[n].name != NULL;
	}
	return n;
}

static enum ps_status parse_repository(struct ps_serve_call *c,
				       struct ps_oip_repository_request *ret)
{
	struct ps_oip_target unused = c->target;
	if (c->wire == PS_SERVE_HTTP)
		return ps_oip_parse_repository(c->target.route, c->body, c->body_bytes, c->arena,
					       ret, &c->err);
	return ps_oip_grpc_parse_repository(c->target.route, c->body, c->body_bytes, c->arena,
					    &unused, ret, &c->err);
}

static void make_index(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	struct ps_serve_call *c = j->call;
	struct ps_serve *s = c->io->server;
	struct ps_oip_repository_request request;
	j->status = parse_repository(c, &request);
	if (j->status != PS_OK)
		return;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	pthread_mutex_lock(&s->lock);
	int n_all = ps_repo_count(s->repo), n = 0;
	struct ps_oip_index_row *rows =
		ps_arena_alloc(c->arena, ((size_t)n_all + 1) * sizeof *rows);
	if (rows)
		n = list_rows(c, p->tenancy, rows, n_all, request.ready_only);
	pthread_mutex_unlock(&s->lock);
	ps_serve_snapshot_unref(p);
	if (rows)
		ps_oip_build_index(rows, n, ps_serve_form(c), &j->text);
	if (!rows || ps_strbuf_status(&j->text) != PS_OK)
		j->status = ps_error_set(&c->err, PS_ENOMEM, "out of memory");
}

/* --- configuration of the server --- */

static void on_reloaded(struct ps_serve_reload_wait *w)
{
	struct ps_serve_call *c = ((struct ps_serve_reload_call *)w)->call;
	struct ps_serve_reload_result *r = &w->result;
	struct ps_strbuf text;
	if (r->status != PS_OK) {
		c->err = r->err;
		if (r->err.where[0]) /* the operator's own file: the line is what helps */
			ps_error_set(&c->err, r->err.status, "%s: %s", r->err.where, r->err.what);
		ps_strbuf_fini(&r->restart);
		ps_serve_refuse(c);
		return;
	}
	ps_strbuf_init(&text);
	ps_strbuf_printf(&text,
			 "{\"generation\":%llu,\"tenants_added\":%d,\"tenants_removed\":%d,"
			 "\"models_added\":%d,\"models_changed\":%d,\"models_removed\":%d,"
			 "\"models_refused\":%d,\"needs_restart\":",
			 (unsigned long long)r->generation, r->tenants_added, r->tenants_removed,
			 r->models.added, r->models.changed, r->models.removed, r->models.refused);
	ps_oip_build_string(r->restart.data, &text);
	ps_strbuf_putc(&text, '}');
	ps_strbuf_fini(&r->restart);
	ps_serve_admin_answer(c, &text);
}

static void reload(struct ps_serve_call *c)
{
	struct ps_serve_reload_call *w = ps_arena_zalloc(c->arena, sizeof *w);
	if (!ps_serve_is_admin(c)) {
		ps_serve_admin_refuse(c, PS_EFORBIDDEN, "only the operator may reload");
		return;
	}
	if (!w) {
		ps_serve_admin_refuse(c, PS_ENOMEM, "out of memory");
		return;
	}
	w->wait = (struct ps_serve_reload_wait){.loop = c->io->loop, .on_done = on_reloaded};
	w->call = c;
	if (ps_serve_reload_ask(c->io->server, &w->wait, &c->err) != PS_OK)
		ps_serve_refuse(c);
}

/* --- routes --- */

static void only_operator(struct ps_serve_call *c, void (*work)(struct ps_serve_job *job))
{
	if (ps_serve_is_admin(c))
		ps_serve_admin_make(c, work, NULL);
	else
		ps_serve_admin_refuse(c, PS_EFORBIDDEN, "only the operator may see this");
}

void ps_serve_route_admin(struct ps_serve_call *c)
{
	struct ps_oip_repository_request request;
	switch (c->target.route) {
	case PS_OIP_MODEL_CONFIG:
		ps_serve_admin_model_config(c);
		break;
	case PS_OIP_STATISTICS:
		ps_serve_admin_make(c, make_statistics, NULL);
		break;
	case PS_OIP_REPOSITORY_INDEX:
		ps_serve_admin_make(c, make_index, NULL);
		break;
	case PS_OIP_LOAD:
	case PS_OIP_UNLOAD:
		if (parse_repository(c, &request) != PS_OK)
			ps_serve_refuse(c);
		else
			ps_serve_admin_load(c, &request);
		break;
	case PS_OIP_OPERATOR_RELOAD:
		reload(c);
		break;
	case PS_OIP_OPERATOR_STATUS:
		only_operator(c, ps_serve_make_status);
		break;
	case PS_OIP_OPERATOR_TENANTS:
		ps_serve_admin_make(c, ps_serve_make_tenants, NULL);
		break;
	case PS_OIP_OPERATOR_USAGE:
	case PS_OIP_OPERATOR_BILL:
		ps_serve_admin_make(c, ps_serve_make_bill, NULL);
		break;
	default:
		ps_serve_admin_refuse(c, PS_ENOTFOUND, "Not Found");
		break;
	}
}
