/* machine.c - reads and writes machines. */
#include "spatial/machine_internal.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_FILE_BYTES (1 << 20)

static enum ps_status refuse(struct ps_error *err, const char *path, int line, const char *key,
			     const char *what)
{
	ps_error_set(err, PS_EPARSE, "%s", what);
	ps_error_where(err, "%s:%d:%s", path, line, key);
	return PS_EPARSE;
}

/* Keys that only one kind of machine has: a value for the other kind would be read and not used. */
static enum ps_status check_kind(const struct ps_spatial_file *f, const char *path,
				 struct ps_error *err)
{
	bool array = f->kind == PS_SPATIAL_ARRAY;
	const struct {
		const char *key;
		bool of_array, needed, given;
	} keys[] = {
		{"clock_ghz", true, true, f->clock_ghz > 0},
		{"memory", true, true, f->memory > 0},
		{"memory_bytes_per_cycle", true, true, f->memory_bytes_per_cycle > 0},
		{"memories", true, false, f->memories > 0},
		{"depth", true, false, f->depth > 0},
		{"element_units", true, false, f->element_units > 0},
		{"levels", false, true, f->levels.len > 0},
		{"block", false, false, f->block > 0},
		{"exchange_ns", false, false, f->exchange_ns > 0},
		{"exchange_more_ns", false, false, f->exchange_more_ns > 0},
		{"exchange_byte_ns", false, false, f->exchange_byte_ns > 0},
		{"start_ns", false, false, f->start_ns > 0},
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (keys[i].of_array == array && keys[i].needed && !keys[i].given)
			return refuse(err, path, f->where.line, keys[i].key,
				      array ? "an array needs it" : "cores need it");
		if (keys[i].of_array != array && keys[i].given)
			return refuse(err, path, f->where.line, keys[i].key,
				      array ? "an array has none" : "cores have none");
	}
	return PS_OK;
}

static enum ps_status check_rates(const struct ps_spatial_file *f, const char *path,
				  struct ps_error *err)
{
	const struct ps_spatial_file_rate *r = f->rates.items;
	bool array = f->kind == PS_SPATIAL_ARRAY;
	unsigned seen = 0;

	for (size_t i = 0; i < f->rates.len; i++) {
		if (seen >> r[i].precision & 1)
			return refuse(err, path, r[i].where.line, "name", "a precision twice");
		seen |= 1U << r[i].precision;
		if (array && (r[i].vector_ns > 0 || r[i].rows_vector_ns > 0))
			return refuse(err, path, r[i].where.line, "vector_ns",
				      "a vector of an array takes a cycle of its clock");
		if (!array && !(r[i].vector_ns > 0))
			return refuse(err, path, r[i].where.line, "vector_ns", "cores need it");
	}
	return PS_OK;
}

static enum ps_status check_levels(const struct ps_spatial_file *f, const char *path,
				   struct ps_error *err)
{
	const struct ps_spatial_file_level *l = f->levels.items;

	for (size_t i = 1; i < f->levels.len; i++) {
		if (l[i].bytes <= l[i - 1].bytes)
			return refuse(err, path, l[i].where.line, "bytes",
				      "each level is larger than the one before");
	}
	return PS_OK;
}

static void set_rates(struct ps_spatial_machine *m, const struct ps_spatial_file *f)
{
	const struct ps_spatial_file_rate *from = f->rates.items;

	for (size_t i = 0; i < f->rates.len; i++) {
		struct ps_spatial_rate *r = &m->rates[from[i].precision];
		*r = (struct ps_spatial_rate){.has = true,
					      .pack = from[i].pack,
					      .rows_read = from[i].rows_read,
					      .overlap = from[i].overlap};
		r->vector_s =
			m->kind == PS_SPATIAL_ARRAY ? 1 / m->clock_hz : from[i].vector_ns * 1e-9;
		r->rows_vector_s =
			from[i].rows_vector_ns > 0 ? from[i].rows_vector_ns * 1e-9 : r->vector_s;
		for (int c = 0; c < PS_SPATIAL_CELLS; c++)
			r->block_s[c] = from[i].block_ns[c] * 1e-9;
	}
}

static void set_levels(struct ps_spatial_machine *m, const struct ps_spatial_file *f)
{
	const struct ps_spatial_file_level *from = f->levels.items;

	for (size_t i = 0; i < f->levels.len; i++) {
		double back = from[i].alternating > 0 ? from[i].alternating : from[i].forward;
		m->levels[i] = (struct ps_spatial_level){.bytes = (double)from[i].bytes,
							 .forward_bps = from[i].forward * 1e9,
							 .alternating_bps = back * 1e9};
	}
	m->n_levels = (int)f->levels.len;
}

static void set_machine(struct ps_spatial_machine *m, const struct ps_spatial_file *f)
{
	*m = (struct ps_spatial_machine){
		.kind = (enum ps_spatial_kind)f->kind,
		.units = f->units,
		.lanes = f->lanes,
		.clock_hz = f->clock_ghz * 1e9,
		.stages = f->stages,
		.memories = f->memories > 0 ? f->memories : f->units,
		.memory_bytes = f->memory,
		.memory_bytes_per_cycle = f->memory_bytes_per_cycle,
		.depth = f->depth,
		.element_units = f->element_units,
		.block = f->block > 0 ? f->block : f->lanes,
		.exchange_s = f->exchange_ns * 1e-9,
		.exchange_more_s = f->exchange_more_ns * 1e-9,
		.exchange_byte_s = f->exchange_byte_ns * 1e-9,
		.start_s = f->start_ns * 1e-9,
	};
	snprintf(m->name, sizeof m->name, "%s", f->name);
	snprintf(m->measured_on, sizeof m->measured_on, "%s", f->measured_on ? f->measured_on : "");
	set_rates(m, f);
	set_levels(m, f);
}

enum ps_status ps_spatial_machine_parse(const char *text, size_t len, const char *name,
					struct ps_spatial_machine *ret_machine,
					struct ps_error *err)
{
	struct ps_spatial_file f;
	enum ps_status st =
		ps_conf_parse_yaml(&ps_spatial_machine_schema, text, len, name, &f, err);

	if (st != PS_OK)
		return st;
	st = check_kind(&f, name, err);
	if (st == PS_OK)
		st = check_rates(&f, name, err);
	if (st == PS_OK)
		st = check_levels(&f, name, err);
	if (st == PS_OK)
		set_machine(ret_machine, &f);
	ps_conf_free(&ps_spatial_machine_schema, &f);
	return st;
}

enum ps_status ps_spatial_machine_load(const char *path, struct ps_spatial_machine *ret_machine,
				       struct ps_error *err)
{
	char *text;
	size_t len;
	enum ps_status st = ps_file_read(path, MAX_FILE_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = ps_spatial_machine_parse(text, len, path, ret_machine, err);
	free(text);
	return st;
}

/* A text between double quotes. */
static void put_text(struct ps_strbuf *out, const char *key, const char *value)
{
	ps_strbuf_printf(out, "%s: \"", key);
	for (const char *s = value; *s; s++) {
		if (*s == '"' || *s == '\\')
			ps_strbuf_puts(out, "\\");
		ps_strbuf_printf(out, "%c", (unsigned char)*s < 0x20 ? '?' : *s);
	}
	ps_strbuf_puts(out, "\"\n");
}

static void put_rate(const struct ps_spatial_machine *m, int p, struct ps_strbuf *out)
{
	const struct ps_spatial_rate *r = &m->rates[p];

	ps_strbuf_printf(out, "  - name: %s\n    pack: %lld\n",
			 ps_spatial_precision_name((enum ps_spatial_precision)p),
			 (long long)r->pack);
	if (m->kind == PS_SPATIAL_ARRAY)
		return;
	ps_strbuf_printf(out,
			 "    vector_ns: %.6g\n    rows_vector_ns: %.6g\n    rows_read: %.6g\n"
			 "    overlap: %.6g\n",
			 r->vector_s * 1e9, r->rows_vector_s * 1e9, r->rows_read, r->overlap);
	for (int c = 0; c < PS_SPATIAL_CELLS; c++)
		ps_strbuf_printf(out, "    block_%s_ns: %.6g\n",
				 ps_spatial_cell_name((enum ps_spatial_cell)c),
				 r->block_s[c] * 1e9);
}

static void put_array(const struct ps_spatial_machine *m, struct ps_strbuf *out)
{
	ps_strbuf_printf(out,
			 "stages: %lld\nclock_ghz: %.6g\nmemories: %lld\nmemory: %lld\n"
			 "memory_bytes_per_cycle: %.6g\ndepth: %lld\nelement_units: %lld\n",
			 (long long)m->stages, m->clock_hz / 1e9, (long long)m->memories,
			 (long long)m->memory_bytes, m->memory_bytes_per_cycle, (long long)m->depth,
			 (long long)m->element_units);
}

static void put_cores(const struct ps_spatial_machine *m, struct ps_strbuf *out)
{
	ps_strbuf_printf(out,
			 "block: %lld\nexchange_ns: %.6g\nexchange_more_ns: %.6g\n"
			 "exchange_byte_ns: %.6g\nstart_ns: %.6g\nlevels:\n",
			 (long long)m->block, m->exchange_s * 1e9, m->exchange_more_s * 1e9,
			 m->exchange_byte_s * 1e9, m->start_s * 1e9);
	for (int i = 0; i < m->n_levels; i++)
		ps_strbuf_printf(out,
				 "  - {bytes: %.0f, forward_gb_per_s: %.6g,"
				 " alternating_gb_per_s: %.6g}\n",
				 m->levels[i].bytes, m->levels[i].forward_bps / 1e9,
				 m->levels[i].alternating_bps / 1e9);
}

void ps_spatial_machine_print(const struct ps_spatial_machine *m, struct ps_strbuf *out)
{
	put_text(out, "name", m->name);
	if (m->measured_on[0])
		put_text(out, "measured_on", m->measured_on);
	ps_strbuf_printf(out, "kind: %s\nunits: %lld\nlanes: %lld\n",
			 m->kind == PS_SPATIAL_ARRAY ? "array" : "cores", (long long)m->units,
			 (long long)m->lanes);
	if (m->kind == PS_SPATIAL_ARRAY)
		put_array(m, out);
	else
		put_cores(m, out);
	ps_strbuf_puts(out, "precisions:\n");
	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++) {
		if (m->rates[p].has)
			put_rate(m, p, out);
	}
}
