/* Statistics, in both forms. Every field is always there: performance tools index them unasked. */
#include "oip/proto_internal.h"

/* --- JSON --- */

static void put_duration(const char *name, const struct ps_oip_duration *d, const char *comma,
			 struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "\"%s\":{\"count\":%llu,\"ns\":%llu}%s", name,
			 (unsigned long long)d->count, (unsigned long long)d->ns, comma);
}

static void put_batches(const struct ps_oip_statistics *m, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "\"batch_stats\":[");
	for (int i = 0; i < m->n_batches; i++) {
		const struct ps_oip_batch_statistics *b = &m->batches[i];
		ps_strbuf_printf(out, "%s{\"batch_size\":%llu,", i ? "," : "",
				 (unsigned long long)b->batch_size);
		put_duration("compute_input", &b->compute_input, ",", out);
		put_duration("compute_infer", &b->compute_infer, ",", out);
		put_duration("compute_output", &b->compute_output, "}", out);
	}
	ps_strbuf_puts(out, "]");
}

static void put_memory(const struct ps_oip_statistics *m, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "\"memory_usage\":[");
	for (int i = 0; i < m->n_memory; i++) {
		ps_strbuf_puts(out, i ? ",{\"type\":" : "{\"type\":");
		ps_oip_build_string(m->memory[i].type, out);
		ps_strbuf_printf(out, ",\"id\":%lld,\"byte_size\":%llu}",
				 (long long)m->memory[i].id,
				 (unsigned long long)m->memory[i].bytes);
	}
	ps_strbuf_puts(out, "]");
}

static void put_model(const struct ps_oip_statistics *m, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "{\"name\":");
	ps_oip_build_string(m->name, out);
	ps_strbuf_puts(out, ",\"version\":");
	ps_oip_build_string(m->version, out);
	ps_strbuf_printf(out,
			 ",\"last_inference\":%llu,\"inference_count\":%llu,"
			 "\"execution_count\":%llu,\"inference_stats\":{",
			 (unsigned long long)m->last_inference_ms,
			 (unsigned long long)m->inference_count,
			 (unsigned long long)m->execution_count);
	put_duration("success", &m->success, ",", out);
	put_duration("fail", &m->fail, ",", out);
	put_duration("queue", &m->queue, ",", out);
	put_duration("compute_input", &m->compute_input, ",", out);
	put_duration("compute_infer", &m->compute_infer, ",", out);
	put_duration("compute_output", &m->compute_output, ",", out);
	put_duration("cache_hit", &m->cache_hit, ",", out);
	put_duration("cache_miss", &m->cache_miss, "},\"response_stats\":{},", out);
	put_batches(m, out);
	ps_strbuf_putc(out, ',');
	put_memory(m, out);
	ps_strbuf_putc(out, '}');
}

static void put_statistics(const struct ps_oip_statistics *models, int n, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "{\"model_stats\":[");
	for (int i = 0; i < n; i++) {
		if (i > 0)
			ps_strbuf_putc(out, ',');
		put_model(&models[i], out);
	}
	ps_strbuf_puts(out, "]}");
}

/* --- protobuf --- */

static void set_duration(Inference__StatisticDuration *p, Inference__StatisticDuration **ret,
			 const struct ps_oip_duration *d)
{
	inference__statistic_duration__init(p);
	p->count = d->count;
	p->ns = d->ns;
	*ret = p;
}

enum { N_DURATIONS = 8, N_BATCH_DURATIONS = 3 };

struct inference_stats {
	Inference__InferStatistics stats;
	Inference__StatisticDuration durations[N_DURATIONS];
};

static void fill_stats(const struct ps_oip_statistics *m, struct inference_stats *p)
{
	Inference__StatisticDuration *d = p->durations;
	inference__infer_statistics__init(&p->stats);
	set_duration(&d[0], &p->stats.success, &m->success);
	set_duration(&d[1], &p->stats.fail, &m->fail);
	set_duration(&d[2], &p->stats.queue, &m->queue);
	set_duration(&d[3], &p->stats.compute_input, &m->compute_input);
	set_duration(&d[4], &p->stats.compute_infer, &m->compute_infer);
	set_duration(&d[5], &p->stats.compute_output, &m->compute_output);
	set_duration(&d[6], &p->stats.cache_hit, &m->cache_hit);
	set_duration(&d[7], &p->stats.cache_miss, &m->cache_miss);
}

struct batch {
	Inference__InferBatchStatistics stats;
	Inference__StatisticDuration durations[N_BATCH_DURATIONS];
};

/* The message is the first member of its struct, so that a pointer to one is one to both. */
static void fill_batch(const struct ps_oip_batch_statistics *b, struct batch *p)
{
	inference__infer_batch_statistics__init(&p->stats);
	p->stats.batch_size = b->batch_size;
	set_duration(&p->durations[0], &p->stats.compute_input, &b->compute_input);
	set_duration(&p->durations[1], &p->stats.compute_infer, &b->compute_infer);
	set_duration(&p->durations[2], &p->stats.compute_output, &b->compute_output);
}

static bool fill_model(struct ps_arena *a, const struct ps_oip_statistics *m,
		       Inference__ModelStatistics *p)
{
	struct inference_stats *stats = ps_arena_alloc(a, sizeof *stats);
	struct batch **batches = ps_oip_pb_items(a, m->n_batches, sizeof **batches);
	inference__model_statistics__init(p);
	p->memory_usage = ps_oip_pb_items(a, m->n_memory, sizeof **p->memory_usage);
	if (!stats || !batches || !p->memory_usage)
		return false;
	p->name = (char *)m->name;
	p->version = (char *)m->version;
	p->last_inference = m->last_inference_ms;
	p->inference_count = m->inference_count;
	p->execution_count = m->execution_count;
	fill_stats(m, stats);
	p->inference_stats = &stats->stats;
	for (int i = 0; i < m->n_batches; i++)
		fill_batch(&m->batches[i], batches[i]);
	p->batch_stats = (Inference__InferBatchStatistics **)batches;
	p->n_batch_stats = (size_t)m->n_batches;
	for (int i = 0; i < m->n_memory; i++) {
		inference__memory_usage__init(p->memory_usage[i]);
		p->memory_usage[i]->type = (char *)m->memory[i].type;
		p->memory_usage[i]->id = m->memory[i].id;
		p->memory_usage[i]->byte_size = m->memory[i].bytes;
	}
	p->n_memory_usage = (size_t)m->n_memory;
	return true;
}

static void pack_statistics(const struct ps_oip_statistics *models, int n, struct ps_strbuf *out)
{
	struct ps_arena a;
	Inference__ModelStatisticsResponse p = INFERENCE__MODEL_STATISTICS_RESPONSE__INIT;
	ps_arena_init(&a, 0);
	p.model_stats = ps_oip_pb_items(&a, n, sizeof **p.model_stats);
	bool ok = p.model_stats != NULL;
	for (int i = 0; ok && i < n; i++)
		ok = fill_model(&a, &models[i], p.model_stats[i]);
	p.n_model_stats = (size_t)n;
	if (ok)
		ps_oip_pack(&p.base, out);
	else
		out->failed = true;
	ps_arena_fini(&a);
}

void ps_oip_build_statistics(const struct ps_oip_statistics *models, int n, enum ps_oip_form form,
			     struct ps_strbuf *out)
{
	if (form == PS_OIP_PROTOBUF)
		pack_statistics(models, n, out);
	else
		put_statistics(models, n, out);
}
