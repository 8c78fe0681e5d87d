#include "measure/verify.h"

#include "base/clock.h"
#include "measure/measure_internal.h"
#include "measure/verify_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the campaign of a machine ---- */

struct draft {
	struct ps_measure_campaign campaign;
	char *path, *name, digest[PS_TENANCY_DIGEST_SIZE];
};

static void draft_fini(struct draft *d)
{
	ps_measure_free(&d->campaign);
	free(d->path);
	free(d->name);
}

/* A name that says by its digest what is measured (verify_find.c goes by that), and to people who
 * is on what. A listing cuts names: what counts comes first. */
static char *name_of(const struct ps_measure_machine *m, const char *digest)
{
	char *name = NULL;
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_strbuf_printf(&b, "plan %.12s: %.40s:", strchr(digest, ':') + 1, m->instance_type);
	for (int i = 0; i < m->tenant_len && b.len < 100; i++) {
		ps_strbuf_printf(&b, " %.24s", m->tenants[i].name);
	}
	name = ps_strbuf_take_data(&b);
	ps_strbuf_fini(&b);
	return name;
}

static enum ps_status parse(const char *name, const struct ps_strbuf *body, struct draft *d,
			    const struct ps_measure_machine *m, struct ps_error *err)
{
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	ps_strbuf_printf(&text, "name: \"%s\"\n%s", name, body->data ? body->data : "");
	enum ps_status st = ps_strbuf_status(&text);
	if (st == PS_OK) {
		ps_measure_free(&d->campaign);
		d->campaign = (struct ps_measure_campaign){0};
		st = ps_measure_parse(text.data, text.len, d->path, &d->campaign, err);
	} else {
		ps_error_set(err, st, "no memory for a campaign");
	}
	ps_strbuf_fini(&text);
	if (st != PS_OK) {
		return st;
	}
	d->campaign.server_config = strdup(m->config);
	return d->campaign.server_config ? PS_OK
					 : ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
}

/* Its digest does not depend on its name, which has the digest. */
static enum ps_status make_draft(const struct ps_measure_verify_run *run,
				 const struct ps_measure_machine *m,
				 const struct ps_measure_slot *slot, struct draft *d,
				 struct ps_error *err)
{
	struct ps_strbuf body;
	ps_strbuf_init(&body);
	ps_measure_machine_text(m, slot, &run->patience, run->seed, &body);
	d->path = ps_measure_path(run->workdir, "verify.yaml");
	enum ps_status st = d->path && ps_strbuf_status(&body) == PS_OK
				    ? parse("plan", &body, d, m, err)
				    : ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	if (st == PS_OK) {
		st = ps_measure_verify_digest(&d->campaign, d->digest, err);
	}
	if (st == PS_OK) {
		d->name = name_of(m, d->digest);
		st = d->name ? parse(d->name, &body, d, m, err)
			     : ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	}
	ps_strbuf_fini(&body);
	return st;
}

/* ---- the run ---- */

static enum ps_status perform(const struct ps_measure_verify_run *run, const struct draft *d,
			      struct ps_measure_verified *v, struct ps_error *err)
{
	struct ps_measure_outcome o = {0};
	struct ps_measure_earlier e = {0};
	enum ps_status st = PS_OK;
	if (run->resume) {
		st = ps_measure_find_earlier(run->store_path, &d->campaign, d->digest, &e, err);
	}
	v->earlier = e.campaign_id != 0;
	if (st != PS_OK || v->earlier) {
		v->campaign_id = e.campaign_id;
		return st;
	}
	const struct ps_measure_run r = {
		.campaign = &d->campaign,
		.store_path = run->store_path,
		.workdir = run->workdir,
		.program = run->program,
		.resume = e.begun,
		.progress = run->progress,
		.ctx = run->ctx,
	};
	st = ps_measure_run(&r, &o, err);
	v->campaign_id = o.campaign_id;
	memcpy(v->passed_over, e.passed_over, sizeof(v->passed_over));
	return st;
}

/* ---- what was measured ---- */

static int place_in(const struct ps_store_campaign *c, const char *name)
{
	for (size_t i = 0; i < c->tenant_len; i++) {
		if (strcmp(c->tenants[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

static enum ps_status judge_all(const struct ps_measure_machine *m,
				const struct ps_store_campaign *c, const struct ps_store_cell *x,
				struct ps_measure_verified *v, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (int i = 0; v->tenants && v->reasons && i < m->tenant_len && st == PS_OK; i++) {
		struct ps_measure_judged *j = &v->tenants[i];
		st = ps_measure_judge(x->trials, x->trial_len, place_in(c, m->tenants[i].name),
				      &m->tenants[i].sla, j, err);
		if (j->reasons) { /* they belong to the campaign that was read */
			(void)snprintf(v->reasons[i], sizeof(v->reasons[i]), "%.*s",
				       (int)strcspn(j->reasons, "\n"), j->reasons);
			j->reasons = v->reasons[i];
		}
	}
	return st;
}

static enum ps_status read_back(const struct ps_measure_verify_run *run,
				const struct ps_measure_machine *m, struct ps_measure_verified *v,
				struct ps_error *err)
{
	struct ps_store_campaign *c = NULL;
	struct ps_store *s = NULL;
	enum ps_status st = ps_store_open(run->store_path, PS_STORE_READ, &s, err);
	if (st == PS_OK) {
		st = ps_store_campaign_read(s, v->campaign_id, &c, err);
	}
	ps_store_close(s);
	if (st == PS_OK && c->cell_len != 1) {
		st = ps_error_set(err, PS_ECORRUPT, "the campaign of a machine has %zu cells",
				  c->cell_len);
	}
	if (st == PS_OK && c->cells[0].state != PS_STORE_DONE) {
		(void)snprintf(v->why, sizeof(v->why), "%s",
			       c->cells[0].reason ? c->cells[0].reason : "it was not measured");
	} else if (st == PS_OK) {
		const struct ps_store_cell *x = &c->cells[0];
		v->trials = (int)x->trial_len;
		for (size_t i = 0; i < x->trial_len; i++) {
			v->measured_ns += x->trials[i].duration_ns;
		}
		st = judge_all(m, c, x, v, err);
	}
	ps_store_campaign_free(c);
	return st;
}

enum ps_status ps_measure_verify(const struct ps_measure_verify_run *run,
				 const struct ps_measure_machine *m,
				 const struct ps_measure_slot *slot,
				 struct ps_measure_verified *ret_verified, struct ps_error *err)
{
	struct ps_measure_verified v = {0};
	struct draft d = {0};
	size_t n = (size_t)m->tenant_len;
	v.tenants = calloc(n, sizeof(*v.tenants));
	v.reasons = calloc(n, sizeof(*v.reasons));
	enum ps_status st = v.tenants && v.reasons
				    ? make_draft(run, m, slot, &d, err)
				    : ps_error_set(err, PS_ENOMEM, "no memory for a machine");
	if (st == PS_OK) {
		st = perform(run, &d, &v, err);
	}
	if (st == PS_OK) {
		st = read_back(run, m, &v, err);
	}
	draft_fini(&d);
	if (st != PS_OK) {
		ps_measure_verified_free(&v);
		return st;
	}
	*ret_verified = v;
	return PS_OK;
}

void ps_measure_verified_free(struct ps_measure_verified *v)
{
	free(v->tenants);
	free(v->reasons);
	memset(v, 0, sizeof(*v));
}
