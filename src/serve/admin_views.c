/* admin_views.c - what the operator (and each tenant, of itself) may look at: state of the server,
 * tenants with their agreements and use, the ledger. */
#include "base/clock.h"
#include "serve/admin_routes_internal.h"
#include "serve/bill.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LEDGER_ROWS = 10000 };

static void check_text(struct ps_serve_admin_job *j)
{
	if (j->status == PS_OK && ps_strbuf_status(&j->text) != PS_OK)
		j->status = ps_error_set(&j->call->err, PS_ENOMEM, "out of memory");
}

static void put_text(struct ps_strbuf *out, const char *key, const char *text)
{
	ps_strbuf_printf(out, "\"%s\":", key);
	ps_oip_build_string(text, out);
}

/* --- status --- */

static void put_models(struct ps_serve *s, struct ps_strbuf *out)
{
	pthread_mutex_lock(&s->lock);
	int n = ps_repo_count(s->repo);
	bool first = true;
	ps_strbuf_printf(out, "\"resident_bytes\":%" PRId64 ",\"models\":[",
			 ps_repo_resident_bytes(s->repo));
	for (int i = 0; i < n; i++) {
		const struct ps_repo_model *m = ps_repo_get(s->repo, i);
		int in = ps_repo_serving(s->repo, i, PS_REPO_SHARED);
		const struct ps_error *why = ps_repo_reason(s->repo, i, PS_REPO_SHARED);
		if (m->gone)
			continue;
		ps_strbuf_puts(out, first ? "{" : ",{");
		first = false;
		put_text(out, "name", m->name);
		ps_strbuf_printf(out, ",\"version\":\"%s\",\"state\":\"%s\",", m->version_text,
				 ps_repo_index_state(ps_repo_state_of(s->repo, i, PS_REPO_SHARED)));
		put_text(out, "reason", why->status == PS_OK ? "" : why->what);
		if (in >= 0) {
			const struct ps_repo_instance *x = ps_repo_instance_get(s->repo, in);
			const struct ps_repo_facts *f = &x->facts;
			ps_strbuf_printf(out,
					 ",\"instance\":%d,\"sharing\":%d,\"device\":\"%s\","
					 "\"private_bytes\":%" PRId64 ",\"mapped_bytes\":%" PRId64
					 ",\"device_bytes\":%" PRId64 ",\"load_ns\":%" PRId64,
					 in, x->n_users, x->device, f->private_bytes,
					 f->mapped_bytes, f->device_bytes, f->load_ns);
		}
		ps_strbuf_putc(out, '}');
	}
	ps_strbuf_putc(out, ']');
	if (ps_dispatch_on_demand(s->dispatch))
		ps_serve_put_plan(s, out);
	pthread_mutex_unlock(&s->lock);
}

static void put_lanes(struct ps_serve *s, struct ps_strbuf *out)
{
	int lanes = ps_exec_lanes(s->exec);
	pthread_mutex_lock(&s->lock);
	ps_strbuf_printf(out, "\"waiting\":%" PRId64 ",\"running\":%d,",
			 ps_dispatch_waiting(s->dispatch), ps_dispatch_running(s->dispatch));
	pthread_mutex_unlock(&s->lock);
	ps_strbuf_puts(out, "\"lanes\":[");
	for (int i = 0; i < lanes; i++) {
		struct ps_exec_lane_stats st;
		ps_exec_stats(s->exec, i, &st);
		ps_strbuf_printf(out, "%s{\"cpu\":%d,\"runs\":%" PRIu64 ",\"busy_ns\":%" PRId64 "}",
				 i ? "," : "", st.cpu, st.runs, st.busy_ns);
	}
	ps_strbuf_puts(out, "],");
}

void ps_serve_make_status(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	struct ps_serve *s = j->call->io->server;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	ps_strbuf_printf(&j->text,
			 "{\"ready\":%s,\"draining\":%s,\"uptime_ns\":%" PRId64
			 ",\"generation\":%" PRIu64 ",\"tenants\":%zu,",
			 atomic_load(&s->ready) ? "true" : "false",
			 atomic_load(&s->draining) ? "true" : "false",
			 ps_clock_now_ns() - s->started_ns, p->generation,
			 p->config->tenants.len ? p->config->tenants.len : 1);
	ps_serve_snapshot_unref(p);
	put_lanes(s, &j->text);
	put_models(s, &j->text);
	ps_strbuf_putc(&j->text, '}');
	check_text(j);
}

/* --- tenants --- */

static void put_quotas(struct ps_strbuf *out, const struct ps_tenancy *t, int i)
{
	struct ps_tenancy_rate rate = ps_tenancy_rate(t, i);
	const struct ps_sla *sla = ps_tenancy_sla(t, i, "");
	char text[PS_SLA_SIZE];
	put_text(out, "name", ps_tenancy_name(t, i));
	ps_strbuf_printf(out,
			 ",\"class\":\"%s\",\"weight\":%" PRId64 ",\"queue_limit\":%" PRId64
			 ",\"concurrency\":%" PRId64 ",\"rate\":%.9g,\"burst\":%.9g,\"share\":%s,",
			 ps_tenancy_class_name(ps_tenancy_class(t, i)), ps_tenancy_weight(t, i),
			 ps_tenancy_queue_limit(t, i), ps_tenancy_concurrency(t, i), rate.per_s,
			 rate.burst, ps_tenancy_shares(t, i) ? "true" : "false");
	put_text(out, "sla", ps_sla_is_set(sla) ? ps_sla_format(sla, text) : "");
}

static void put_queue(struct ps_serve *s, struct ps_strbuf *out, int i)
{
	struct ps_dispatch_view v;
	pthread_mutex_lock(&s->lock);
	ps_dispatch_view_get(s->dispatch, i, ps_clock_now_ns(), &v);
	pthread_mutex_unlock(&s->lock);
	ps_strbuf_printf(out,
			 ",\"waiting\":%" PRId64 ",\"running\":%" PRId64 ",\"cost_ns\":%" PRId64
			 ",\"lag_ns\":%" PRId64,
			 v.waiting, v.running, v.cost_ns, v.lag_ns);
}

/* Use of one tenant, over its models. */
struct use {
	uint64_t requests, failed, inferences, judged, good;
};

static struct use *sum_use(struct ps_serve *s, int n)
{
	struct ps_serve_observe *o = s->observe;
	struct use *use = calloc((size_t)n + 1, sizeof *use);
	struct ps_serve_counts *c = calloc(1, sizeof *c);
	size_t pairs = use && c ? ps_serve_pairs(o) : 0;
	for (size_t i = 0; i < pairs; i++) {
		const struct ps_serve_pair *p = ps_serve_pair_get(o, i);
		if (p->tenant < 0 || p->tenant >= n)
			continue;
		ps_serve_pair_read(o, i, c);
		struct use *u = &use[p->tenant];
		u->requests += c->outcomes[PS_SERVE_OUTCOME_OK];
		for (int k = 1; k < PS_SERVE_OUTCOME_COUNT; k++)
			u->failed += c->outcomes[k];
		u->inferences += c->inferences;
		u->judged += c->judged;
		u->good += c->good;
	}
	free(c);
	return use;
}

void ps_serve_make_tenants(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	struct ps_serve_call *c = j->call;
	struct ps_serve *s = c->io->server;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	const struct ps_tenancy *t = p->tenancy;
	int n = ps_tenancy_count(t), shown = 0;
	struct use *use = sum_use(s, n);
	ps_strbuf_puts(&j->text, "{\"tenants\":[");
	for (int i = 0; use && i < n; i++) {
		const char *name = ps_tenancy_name(t, i);
		if (!ps_tenancy_exists(t, i) || (c->tenant != PS_TENANCY_ADMIN && c->tenant != i) ||
		    (c->target.model[0] && strcmp(c->target.model, name) != 0))
			continue;
		ps_strbuf_puts(&j->text, shown++ ? ",{" : "{");
		put_quotas(&j->text, t, i);
		put_queue(s, &j->text, i);
		ps_strbuf_printf(&j->text,
				 ",\"requests\":%" PRIu64 ",\"failed\":%" PRIu64
				 ",\"inferences\":%" PRIu64 ",\"sla_requests\":%" PRIu64
				 ",\"sla_good\":%" PRIu64 "}",
				 use[i].requests, use[i].failed, use[i].inferences, use[i].judged,
				 use[i].good);
	}
	ps_strbuf_puts(&j->text, "]}");
	if (!use)
		j->status = ps_error_set(&c->err, PS_ENOMEM, "out of memory");
	else if (shown == 0 && c->target.model[0])
		j->status = ps_error_set(&c->err, PS_ENOTFOUND, "there is no tenant '%s'",
					 c->target.model);
	free(use);
	ps_serve_snapshot_unref(p);
	check_text(j);
}

/* --- the ledger --- */

struct asked {
	struct ps_state_query query;
	char tenant[PS_TENANCY_MAX_NAME + 1], model[PS_REPO_MAX_NAME + 1];
};

static enum ps_status get_minute(const char *query, const char *key, int64_t *ret,
				 struct ps_error *err)
{
	char text[64];
	enum ps_status status = ps_oip_query_get(query, key, text, sizeof text, err);
	if (status == PS_ENOTFOUND)
		return PS_OK;
	return status == PS_OK ? ps_serve_bill_minute(text, ret, err) : status;
}

static enum ps_status get_name(const char *query, const char *key, char *buf, size_t size,
			       const char **ret, struct ps_error *err)
{
	enum ps_status status = ps_oip_query_get(query, key, buf, size, err);
	if (status == PS_OK)
		*ret = buf;
	return status == PS_ENOTFOUND ? PS_OK : status;
}

/* A tenant sees its own rows, whatever it asks for. */
static enum ps_status parse_query(struct ps_serve_call *c, struct asked *a)
{
	const char *query = c->http ? c->http->query : "";
	struct ps_state_query *q = &a->query;
	q->by_minute = c->target.route == PS_OIP_OPERATOR_USAGE;
	enum ps_status status =
		get_name(query, "tenant", a->tenant, sizeof a->tenant, &q->tenant, &c->err);
	if (status == PS_OK)
		status = get_name(query, "model", a->model, sizeof a->model, &q->model, &c->err);
	if (status == PS_OK)
		status = get_minute(query, "from", &q->from_minute, &c->err);
	if (status == PS_OK)
		status = get_minute(query, "to", &q->to_minute, &c->err);
	return status;
}

void ps_serve_make_bill(struct ps_serve_job *job)
{
	struct ps_serve_admin_job *j = (struct ps_serve_admin_job *)job;
	struct ps_serve_call *c = j->call;
	struct ps_serve *s = c->io->server;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	struct asked a = {0};
	if (!s->observe->state)
		j->status = ps_error_set(&c->err, PS_ENOTFOUND,
					 "the server keeps no ledger: start it with --state DIR");
	else
		j->status = parse_query(c, &a);
	if (c->tenant != PS_TENANCY_ADMIN)
		a.query.tenant = ps_tenancy_name(p->tenancy, c->tenant);
	if (j->status == PS_OK)
		j->status = ps_serve_bill_write(s->observe->state, &a.query, PS_SERVE_BILL_JSON,
						MAX_LEDGER_ROWS, &j->text, &c->err);
	ps_serve_snapshot_unref(p);
	check_text(j);
}
