/* host.c - what the host counted beside a trial, as the store keeps it. */
#include "measure/measure_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for the samples of a trial");
}

/* ---- samples ---- */

/* Where a number comes from and goes to; a counter begins at 0 with the load. */
struct field {
	size_t from, to;
	bool counter;
};
#define HOST(f)	 offsetof(struct ps_host_sample, f)
#define STORE(f) offsetof(struct ps_store_sample, f)

static const struct field fields[] = {
	{HOST(server.cpu_ns), STORE(server_cpu_ns), true},
	{HOST(self.cpu_ns), STORE(generator_cpu_ns), true},
	{HOST(cpu.steal_ns), STORE(steal_ns), true},
	{HOST(cpu.busy_ns), STORE(busy_ns), true},
	{HOST(server.rss_bytes), STORE(server_rss_bytes), false},
	{HOST(server.pss_bytes), STORE(server_pss_bytes), false},
	{HOST(self.rss_bytes), STORE(generator_rss_bytes), false},
	{HOST(server.minor_faults), STORE(server_minor_faults), true},
	{HOST(server.major_faults), STORE(server_major_faults), true},
	{HOST(server.voluntary), STORE(server_voluntary_switches), true},
	{HOST(server.involuntary), STORE(server_involuntary_switches), true},
	{HOST(server.run_delay_ns), STORE(server_run_delay_ns), true},
	{HOST(server.read_bytes), STORE(server_read_bytes), true},
	{HOST(server.written_bytes), STORE(server_written_bytes), true},
	{HOST(throttled_ns), STORE(server_throttled_ns), true},
	{HOST(server.huge_bytes), STORE(server_huge_bytes), false},
	{HOST(server.cycles), STORE(server_cycles), true},
	{HOST(server.instructions), STORE(server_instructions), true},
	{HOST(server.misses), STORE(server_cache_misses), true},
	{HOST(self.run_delay_ns), STORE(generator_run_delay_ns), true},
	{HOST(net_received_bytes), STORE(net_received_bytes), true},
	{HOST(net_sent_bytes), STORE(net_sent_bytes), true},
	{HOST(cpu_khz), STORE(cpu_khz), false},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static int64_t get(const struct ps_host_sample *s, const struct field *f)
{
	int64_t v;
	memcpy(&v, (const char *)s + f->from, sizeof(v));
	return v;
}

/* Where a counter stood when the load began: at `first`, or, as some are read seldom, at the last
 * instant before that it was read, else the first after. */
static int64_t base_of(const struct ps_host_sample *s, size_t n, size_t first,
		       const struct field *f)
{
	for (size_t i = first + 1; i-- > 0;) {
		if (get(&s[i], f) >= 0) {
			return get(&s[i], f);
		}
	}
	for (size_t i = first + 1; i < n; i++) {
		if (get(&s[i], f) >= 0) {
			return get(&s[i], f);
		}
	}
	return -1;
}

static void fill(const struct ps_host_sample *s, const int64_t base[FIELDS], int64_t start_ns,
		 struct ps_store_sample *out)
{
	int64_t at = s->at_ns - start_ns;
	*out = (struct ps_store_sample){.at_ns = at > 0 ? at : 0,
					.server_threads = s->server.threads};
	for (int k = 0; k < FIELDS; k++) {
		int64_t v = get(s, &fields[k]);
		if (fields[k].counter && v >= 0) {
			v -= base[k];
		}
		memcpy((char *)out + fields[k].to, &v, sizeof(v));
	}
}

/* The value of a counter at an instant, by straight lines between samples. */
static double counter_at(const struct ps_store_sample *s, size_t n, int64_t at,
			 int64_t (*value)(const struct ps_store_sample *))
{
	if (n == 0) {
		return 0;
	}
	size_t i = 0;
	while (i < n && s[i].at_ns < at) {
		i++;
	}
	if (i == 0) {
		return (double)value(&s[0]);
	}
	if (i == n) {
		return (double)value(&s[n - 1]);
	}
	double span = (double)(s[i].at_ns - s[i - 1].at_ns);
	double part = span > 0 ? (double)(at - s[i - 1].at_ns) / span : 0;
	return (double)value(&s[i - 1]) + part * (double)(value(&s[i]) - value(&s[i - 1]));
}

static int64_t get_server(const struct ps_store_sample *s)
{
	return s->server_cpu_ns;
}

static int64_t get_generator(const struct ps_store_sample *s)
{
	return s->generator_cpu_ns;
}

static int64_t get_steal(const struct ps_store_sample *s)
{
	return s->steal_ns;
}

/* Over the measured part only; -1 when it was not counted. */
static int64_t used(const struct ps_store_trial *t,
		    int64_t (*value)(const struct ps_store_sample *))
{
	int64_t from = t->warmup_ns, to = t->warmup_ns + t->duration_ns;
	if (t->sample_len > 0 && value(&t->samples[0]) < 0) {
		return -1;
	}
	return llround(counter_at(t->samples, t->sample_len, to, value) -
		       counter_at(t->samples, t->sample_len, from, value));
}

static void fill_levels(const struct ps_host_sample *s, size_t n, struct ps_store_trial *trial)
{
	trial->server_peak_rss_bytes = -1;
	for (size_t i = 0; i < n; i++) {
		const struct ps_host_usage *u = &s[i].server;
		trial->server_rss_bytes = u->rss_bytes;
		trial->generator_rss_bytes = s[i].self.rss_bytes;
		if (u->peak_rss_bytes > trial->server_peak_rss_bytes) {
			trial->server_peak_rss_bytes = u->peak_rss_bytes;
		}
	}
}

enum ps_status ps_measure_convert_samples(const struct ps_host_sample *samples, size_t n,
					  const struct ps_load_result *r, struct ps_arena *a,
					  struct ps_store_trial *trial, struct ps_error *err)
{
	struct ps_store_sample *out = ps_arena_zalloc(a, sizeof(*out) * (n + 1));
	int64_t base[FIELDS];
	size_t first = 0, len = 0;
	if (!out) {
		return no_memory(err);
	}
	/* counters begin with the last sample before the load */
	while (first + 1 < n && samples[first + 1].at_ns <= r->start_ns) {
		first++;
	}
	for (int k = 0; k < FIELDS && n > 0; k++) {
		base[k] = base_of(samples, n, first, &fields[k]);
	}
	for (size_t i = first; i < n; i++) {
		fill(&samples[i], base, r->start_ns, &out[len++]);
		if (len > 1 && out[len - 1].at_ns <= out[len - 2].at_ns) {
			len--; /* two at one instant */
		}
	}
	fill_levels(samples, n, trial);
	trial->samples = out;
	trial->sample_len = len;
	trial->server_cpu_ns = used(trial, get_server);
	trial->generator_cpu_ns = used(trial, get_generator);
	trial->steal_ns = used(trial, get_steal);
	return PS_OK;
}

/* ---- GPUs ---- */

static enum ps_status convert_gpus(const struct ps_host_watched *w, const struct ps_load_result *r,
				   struct ps_arena *a, struct ps_store_trial *trial,
				   struct ps_error *err)
{
	struct ps_store_gpu_sample *out = ps_arena_zalloc(a, sizeof(*out) * (w->gpu_len + 1));
	size_t len = 0;
	if (!out) {
		return no_memory(err);
	}
	for (size_t i = 0; i < w->gpu_len; i++) {
		const struct ps_host_gpu_sample *g = &w->gpus[i];
		if (g->at_ns < r->start_ns) {
			continue; /* before the load */
		}
		out[len++] = (struct ps_store_gpu_sample){
			.at_ns = g->at_ns - r->start_ns,
			.gpu = g->gpu,
			.busy_ratio = g->busy_ratio,
			.server_busy_ratio = g->server_busy_ratio,
			.power_w = g->power_w,
			.memory_bytes = g->memory_bytes,
			.server_memory_bytes = g->server_memory_bytes,
			.clock_mhz = g->clock_mhz,
			.memory_clock_mhz = g->memory_clock_mhz,
		};
	}
	trial->gpus = out;
	trial->gpu_len = len;
	return PS_OK;
}

/* ---- what it means ---- */

/* Time in lanes as the answers said it; with batches each request names the time of its batch, so
 * the parts are of what was said, and the rule scales them to what was used. */
static struct ps_host_part part_of(const struct ps_load_tenant_result *t)
{
	uint64_t n = t->server_compute.counts ? ps_hist_count(&t->server_compute) : 0;
	double ns = n > 0 ? ps_hist_mean_ns(&t->server_compute) * (double)n : 0;
	return (struct ps_host_part){.compute_ns = (int64_t)ns, .requests = (int64_t)t->completed};
}

static json_t *charge_json(const char *tenant, const char *model, const struct ps_host_charge *c)
{
	json_t *o = json_object();
	ps_json_set_string(o, "tenant", tenant);
	ps_json_set_string(o, "model", model);
	ps_json_set_int(o, "compute_ns", c->compute_ns);
	ps_json_set_int(o, "overhead_ns", c->overhead_ns);
	return o;
}

/* The server's CPU time, divided among tenants and their models. */
static json_t *attributed(const struct ps_measure_campaign *c, const struct ps_load_result *r,
			  const struct ps_store_trial *trial)
{
	const struct ps_measure_tenant *tenants = c->tenants.items;
	struct ps_host_part parts[PS_MEASURE_MAX_MEMBERS] = {{0}};
	struct ps_host_charge charges[PS_MEASURE_MAX_MEMBERS], nobody;
	size_t n = r->tenant_len < trial->result_len ? r->tenant_len : trial->result_len;
	if (trial->server_cpu_ns < 0 || n > PS_MEASURE_MAX_MEMBERS) {
		return json_null();
	}
	for (size_t i = 0; i < n; i++) {
		parts[i] = part_of(&r->tenants[i]);
	}
	ps_host_attribute(trial->server_cpu_ns, 0, parts, n, charges, &nobody);
	json_t *all = json_array();
	for (size_t i = 0; i < n; i++) {
		const struct ps_measure_tenant *t = &tenants[trial->results[i].tenant];
		(void)json_array_append_new(all, charge_json(t->name, t->model, &charges[i]));
	}
	(void)json_array_append_new(all, charge_json(NULL, NULL, &nobody));
	return all;
}

static json_t *generator(const struct ps_measure_campaign *c, const struct ps_store_trial *trial)
{
	struct ps_cpus own = {{0}}, allowed = ps_host_cpus_allowed();
	char text[PS_CPUS_SIZE];
	if (c->server.url) {
		return json_null(); /* no slice here that it could be apart from */
	}
	json_t *o = json_object();
	if (c->generator_cpu >= 0) {
		ps_cpus_add(&own, (int)c->generator_cpu);
	}
	struct ps_host_apart a = ps_host_apart(&c->slice.cpus, &own, &allowed,
					       trial->generator_cpu_ns, trial->duration_ns);
	ps_json_set_bool(o, "apart", a.apart);
	ps_json_set_string(o, "shared_cpus", ps_cpus_format(&a.shared, text));
	ps_json_set_real(o, "share_of_slice", a.generator_share);
	return o;
}

/* `why` as a further line of `reasons`, which may be NULL. NULL: no memory. */
static const char *with_reason(struct ps_arena *a, const char *reasons, const char *why)
{
	size_t old = reasons ? strlen(reasons) + 1 : 0;
	size_t size = old + strlen(why) + 1;
	char *text = ps_arena_alloc(a, size);
	if (text) {
		(void)snprintf(text, size, "%s%s%s", old ? reasons : "", old ? "\n" : "", why);
	}
	return text;
}

/* To the results too: reports, blocks and searches decide by theirs. */
static enum ps_status add_reason(struct ps_arena *a, struct ps_store_trial *trial, const char *why,
				 struct ps_error *err)
{
	struct ps_store_result *results =
		ps_arena_zalloc(a, sizeof(*results) * (trial->result_len + 1));
	trial->reasons = with_reason(a, trial->reasons, why);
	trial->valid = false;
	if (!results || !trial->reasons) {
		return no_memory(err);
	}
	for (size_t i = 0; i < trial->result_len; i++) {
		results[i] = trial->results[i];
		results[i].reasons = with_reason(a, results[i].reasons, why);
		results[i].valid = false;
		if (!results[i].reasons) {
			return no_memory(err);
		}
	}
	trial->results = results;
	return PS_OK;
}

enum ps_status ps_measure_convert_host(const struct ps_measure_campaign *c,
				       const struct ps_host_watched *w, bool memory_limited,
				       const struct ps_load_result *r, struct ps_arena *a,
				       struct ps_store_trial *trial, struct ps_error *err)
{
	char over[200], why[240];
	enum ps_status st = ps_measure_convert_samples(w->samples, w->len, r, a, trial, err);
	if (st == PS_OK) {
		st = convert_gpus(w, r, a, trial, err);
	}
	if (st == PS_OK && !memory_limited &&
	    ps_host_memory_over(w->samples, w->len, c->slice.memory_bytes, over, sizeof(over))) {
		(void)snprintf(why, sizeof(why), "memory-over: %s", over);
		st = add_reason(a, trial, why, err);
	}
	if (st != PS_OK) {
		return st;
	}
	json_t *o = ps_host_watched_json(w);
	(void)json_object_set_new(o, "server_cpu", attributed(c, r, trial));
	(void)json_object_set_new(o, "generator", generator(c, trial));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	trial->host_json = text ? ps_arena_strndup(a, text, strlen(text)) : NULL;
	free(text);
	return trial->host_json ? PS_OK : no_memory(err);
}
