/* targets.c - how the requests of tenants go to the server, what they hold and what must come back:
 * from their options. */
#include "measure/measure_internal.h"

static bool has_tls(const struct ps_load_target_options *o)
{
	return o->tls_ca || o->tls_cert || o->tls_key || o->tls_name || o->insecure;
}

static enum ps_status make_server(struct ps_measure_context *m, struct ps_error *err)
{
	struct ps_load_target_spec spec;
	enum ps_status st = ps_load_target_from_options(&m->c->server.target, m->c->folder,
							&m->target_arena, &spec, err);
	if (st != PS_OK) {
		ps_measure_at(m->c, "server", err);
	} else {
		m->tls = spec.tls;
	}
	return st;
}

static enum ps_status make(struct ps_measure_context *m, int i, struct ps_error *err)
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)m->c->tenants.items)[i];
	enum ps_status st = ps_load_target_from_options(&t->target, m->c->folder, &m->target_arena,
							&m->targets[i], err);
	if (st != PS_OK && err) {
		ps_error_where(err, "%.100s:%d:tenants", m->c->path, t->where.line);
	}
	if (st == PS_OK && !has_tls(&t->target)) {
		m->targets[i].tls = m->tls;
	}
	return st;
}

enum ps_status ps_measure_make_targets(struct ps_measure_context *m, struct ps_error *err)
{
	ps_arena_init(&m->target_arena, 0);
	enum ps_status st = make_server(m, err);
	for (int i = 0; i < (int)m->c->tenants.len && st == PS_OK; i++) {
		st = make(m, i, err);
	}
	return st;
}

void ps_measure_free_targets(struct ps_measure_context *m)
{
	ps_arena_fini(&m->target_arena);
}
