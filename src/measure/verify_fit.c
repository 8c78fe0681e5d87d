/* verify_fit.c - where a planned machine is measured here, for how long, and as what campaign. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/units.h"
#include "measure/measure_internal.h"
#include "measure/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_NS     (10 * PS_NS_PER_SEC)
#define LEAST_RPS    1e-3 /* of a tenant's demand, as in a campaign */
#define LEAST_MEMORY (1 << 24)
/* The first look is to be able to decide with so many late requests among them, and so many times
 * as many requests as independent ones would need. */
#define LATE_ONES   2
#define CORRELATION 1.5
#define MET_ERROR   0.01
#define FIRST_LOOK  2 /* the first of many looks spends a half of the error */

/* ---- what is here ---- */

/* 0: none, or not this kind of groups. */
static int64_t group_memory(void)
{
	char *text = NULL;
	size_t len = 0;
	int64_t bytes = 0;
	if (ps_file_read("/sys/fs/cgroup/memory.max", 64, &text, &len, NULL) == PS_OK) {
		text[strcspn(text, "\n")] = '\0';
		if (ps_units_parse_int(text, &bytes, NULL) != PS_OK) {
			bytes = 0; /* "max" */
		}
	}
	free(text);
	return bytes;
}

void ps_measure_look_here(struct ps_measure_here *ret_here)
{
	int64_t all = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
	int64_t group = group_memory();
	*ret_here = (struct ps_measure_here){
		.cpus = ps_host_cpus_allowed(),
		.memory_bytes = group > 0 && group < all ? group : all,
	};
}

/* ---- does it fit? ---- */

/* What a campaign cannot take, whatever this machine has. */
static bool is_campaign(const struct ps_measure_machine *m, char *why, size_t size)
{
	if (m->tenant_len > PS_MEASURE_MAX_MEMBERS) {
		(void)snprintf(why, size, "%d tenants, and at most %d are measured together",
			       m->tenant_len, PS_MEASURE_MAX_MEMBERS);
		return false;
	}
	for (int i = 0; i < m->tenant_len; i++) {
		const struct ps_measure_machine_tenant *t = &m->tenants[i];
		const char *bad = !ps_measure_good_name(t->name)    ? t->name
				  : !ps_measure_good_name(t->model) ? t->model
								    : NULL;
		if (bad) {
			(void)snprintf(why, size, "\"%.60s\" is no name in a campaign", bad);
			return false;
		}
		if (t->rate_rps > 0 && t->rate_rps < LEAST_RPS) {
			(void)snprintf(why, size, "%s sends less than once in 1000 s", t->name);
			return false;
		}
	}
	return true;
}

bool ps_measure_fit(const struct ps_measure_here *here, const struct ps_measure_machine *m,
		    struct ps_measure_slot *ret_slot, char *why, size_t size)
{
	char has[PS_UNITS_SIZE], needs[PS_UNITS_SIZE];
	int cpus = ps_cpus_count(&here->cpus);
	*ret_slot = (struct ps_measure_slot){.generator_cpu = -1};
	if (m->gpus > 0) {
		(void)snprintf(why, size, "it has a GPU, and slices are CPUs and memory");
		return false;
	}
	if (m->lanes > cpus || m->lanes > PS_MEASURE_MAX_LANES) {
		(void)snprintf(why, size, "it has %d vCPUs, and here are %d CPUs", m->lanes, cpus);
		return false;
	}
	if (m->needed_bytes > here->memory_bytes) {
		(void)snprintf(why, size, "%s are foreseen on it, and here are %s",
			       ps_units_format_bytes(m->needed_bytes, needs),
			       ps_units_format_bytes(here->memory_bytes, has));
		return false;
	}
	for (int i = 0; i < m->lanes; i++) {
		ps_cpus_add(&ret_slot->cpus, ps_cpus_nth(&here->cpus, i));
	}
	ret_slot->memory_bytes =
		m->memory_bytes < here->memory_bytes ? m->memory_bytes : here->memory_bytes;
	ret_slot->generator_cpu = ps_cpus_nth(&here->cpus, m->lanes);
	return is_campaign(m, why, size);
}

/* ---- for how long? ---- */

int64_t ps_measure_first_ns(const struct ps_measure_machine *m, int64_t max_ns)
{
	double ns = (double)LEAST_NS;
	for (int i = 0; i < m->tenant_len; i++) {
		const struct ps_measure_machine_tenant *t = &m->tenants[i];
		uint64_t good = ps_stats_early_stop_min(t->sla.percentile, LATE_ONES,
							1 - MET_ERROR / FIRST_LOOK);
		double requests = CORRELATION * ((double)good + LATE_ONES);
		if (t->rate_rps > 0) {
			ns = fmax(ns, requests / t->rate_rps * 1e9);
		}
	}
	return ns < (double)max_ns ? (int64_t)ns : max_ns;
}

/* ---- as what campaign? ---- */

static void put_models(const struct ps_measure_machine *m, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "models:\n");
	for (int i = 0; i < m->model_len; i++) {
		ps_strbuf_printf(out, "  - name: \"%s\"\n    file: ", m->models[i].name);
		ps_json_quote(out, m->models[i].path);
		ps_strbuf_putc(out, '\n');
	}
}

static void put_tenants(const struct ps_measure_machine *m, struct ps_strbuf *out)
{
	char sla[PS_SLA_SIZE];
	ps_strbuf_puts(out, "tenants:\n");
	for (int i = 0; i < m->tenant_len; i++) {
		const struct ps_measure_machine_tenant *t = &m->tenants[i];
		ps_strbuf_printf(out,
				 "  - name: \"%s\"\n    model: \"%s\"\n    demand: %.9g/s\n"
				 "    sla: %s\n",
				 t->name, t->model, fmax(t->rate_rps, LEAST_RPS),
				 ps_sla_format(&t->sla, sla));
	}
}

static void put_slice(const struct ps_measure_machine *m, const struct ps_measure_slot *slot,
		      struct ps_strbuf *out)
{
	char cpus[PS_CPUS_SIZE];
	int64_t memory = slot->memory_bytes > LEAST_MEMORY ? slot->memory_bytes : LEAST_MEMORY;
	ps_strbuf_printf(out, "slice:\n  cpus: \"%s\"\n  memory: %lld\n",
			 ps_cpus_format(&slot->cpus, cpus), (long long)memory);
	if (m->priced_as) {
		ps_strbuf_puts(out, "  priced_as: ");
		ps_json_quote(out, m->priced_as);
		ps_strbuf_puts(out, "\n  prices: ");
		ps_json_quote(out, m->prices);
		ps_strbuf_putc(out, '\n');
	}
	if (slot->generator_cpu >= 0) {
		ps_strbuf_printf(out, "generator_cpu: %d\n", slot->generator_cpu);
	}
}

static void put_duration(struct ps_strbuf *out, const char *key, int64_t ns)
{
	ps_strbuf_printf(out, "    %s: %lldns\n", key, (long long)ns);
}

static void put_grid(const struct ps_measure_machine *m, const struct ps_measure_patience *p,
		     struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "grids:\n  - name: plan\n    trials: 1\n");
	put_duration(out, "duration",
		     p->duration_ns > 0 ? p->duration_ns : ps_measure_first_ns(m, p->max_ns));
	put_duration(out, "warmup", p->warmup_ns);
	put_duration(out, "until_decided", p->max_ns);
	ps_strbuf_puts(out, "    axes:\n");
	for (int i = 0; i < m->tenant_len; i++) {
		ps_strbuf_printf(out, "      - tenant: \"%s\"\n        rates: [%.9g/s]\n",
				 m->tenants[i].name, m->tenants[i].rate_rps);
	}
}

void ps_measure_machine_text(const struct ps_measure_machine *m, const struct ps_measure_slot *slot,
			     const struct ps_measure_patience *p, int64_t seed,
			     struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "# A machine of a plan at its planned rates, its server as planned. "
			    "Written by perseus plan --verify.\n");
	ps_strbuf_printf(out, "seed: %lld\n", (long long)seed);
	put_models(m, out);
	put_tenants(m, out);
	ps_strbuf_puts(out, "together: none\nsearch: {sets: none}\nconfirm: {trials: 0}\n");
	put_slice(m, slot, out);
	put_grid(m, p, out);
}
