/* cost.c - the model itself. */
#include "spatial/spatial.h"

#include <math.h>

static int64_t up(int64_t n, int64_t by)
{
	return (n + by - 1) / by;
}

int ps_spatial_gates(enum ps_spatial_cell cell)
{
	static const int gates[PS_SPATIAL_CELLS] = {
		[PS_SPATIAL_PLAIN] = 1, [PS_SPATIAL_GRU] = 3, [PS_SPATIAL_LSTM] = 4};

	return gates[cell];
}

int ps_spatial_weight_bytes(enum ps_spatial_precision p)
{
	static const int bytes[PS_SPATIAL_PRECISIONS] = {4, 2, 1};

	return bytes[p];
}

const char *ps_spatial_precision_name(enum ps_spatial_precision p)
{
	static const char *const names[PS_SPATIAL_PRECISIONS] = {"float32", "bfloat16", "int8"};

	return names[p];
}

const char *ps_spatial_cell_name(enum ps_spatial_cell c)
{
	static const char *const names[PS_SPATIAL_CELLS] = {"rnn", "gru", "lstm"};

	return names[c];
}

static enum ps_status check_size(const char *what, int64_t n, int64_t most, struct ps_error *err)
{
	if (n < 1)
		return ps_error_set(err, PS_EINVAL, "%lld %s", (long long)n, what);
	if (n > most)
		return ps_error_set(err, PS_ETOOBIG, "%lld %s; at most %lld", (long long)n, what,
				    (long long)most);
	return PS_OK;
}

enum ps_status ps_spatial_layer_check(const struct ps_spatial_layer *l, struct ps_error *err)
{
	enum ps_status st = check_size("hidden units", l->hidden, PS_SPATIAL_MAX_HIDDEN, err);

	if (st == PS_OK)
		st = check_size("inputs", l->inputs, PS_SPATIAL_MAX_HIDDEN, err);
	if (st == PS_OK)
		st = check_size("steps", l->steps, PS_SPATIAL_MAX_STEPS, err);
	return st == PS_OK ? check_size("rows", l->batch, PS_SPATIAL_MAX_BATCH, err) : st;
}

static double count_ops(const struct ps_spatial_layer *l, int64_t k)
{
	return 2.0 * ps_spatial_gates(l->cell) * (double)l->hidden * (double)k * (double)l->steps *
	       (double)l->batch;
}

static int passes(const struct ps_spatial_layer *l)
{
	return l->cell == PS_SPATIAL_GRU && l->classic ? 2 : 1;
}

/* ---- array ---- */

static int64_t tree_levels(int64_t n)
{
	int64_t levels = 0;

	while ((INT64_C(1) << levels) < n)
		levels++;
	return levels;
}

/* The partial sums of a gate that several units made are added by one unit per `lanes` of them. */
static int64_t array_units(const struct ps_spatial_machine *m, const struct ps_spatial_map *map,
			   int gates)
{
	int64_t of_gate = map->reduce + up(map->reduce - 1, m->lanes);

	return map->owners * (gates * of_gate + m->element_units);
}

static enum ps_spatial_limit array_cost(const struct ps_spatial_machine *m,
					const struct ps_spatial_layer *l,
					const struct ps_spatial_map *map, struct ps_spatial_cost *c)
{
	const struct ps_spatial_rate *rate = &m->rates[map->precision];
	int64_t k = l->inputs + l->hidden, rounds = up(l->hidden, map->owners);
	int64_t vectors = up(k, map->reduce * map->width);
	int64_t bytes = ps_spatial_weight_bytes(map->precision);
	int gates = ps_spatial_gates(l->cell);
	double turns = (double)(rounds * vectors) * (double)l->batch, cycle_s = 1 / m->clock_hz;

	c->units = array_units(m, map, gates);
	if (c->units > m->units)
		return PS_SPATIAL_UNITS;
	c->slice_bytes = rounds * vectors * map->width * bytes;
	c->memories = map->owners * gates * map->reduce * up(c->slice_bytes, m->memory_bytes);
	if (c->memories > m->memories)
		return PS_SPATIAL_MEMORIES;
	c->weight_bytes = map->owners * gates * map->reduce * c->slice_bytes;
	c->fragmentation = 1 - (double)l->hidden * (double)k /
				       ((double)(map->owners * rounds) *
					(double)(vectors * map->reduce * map->width));
	c->compute_s = passes(l) * turns * rate->vector_s;
	c->read_s = passes(l) * turns * (double)(map->width * bytes) / m->memory_bytes_per_cycle *
		    cycle_s;
	c->exchange_s =
		passes(l) * (double)(m->depth + m->stages * tree_levels(map->reduce)) * cycle_s;
	c->step_s = fmax(c->compute_s, c->read_s) + c->exchange_s;
	c->cycles_per_step = c->step_s * m->clock_hz;
	return PS_SPATIAL_FITS;
}

/* ---- cores ---- */

static double second_per_byte(const struct ps_spatial_level *l, bool alternate)
{
	return 1 / (alternate ? l->alternating_bps : l->forward_bps);
}

double ps_spatial_read_s(const struct ps_spatial_machine *m, double bytes, bool alternate)
{
	const struct ps_spatial_level *l = m->levels;
	int n = m->n_levels, i = 0;

	while (i < n && l[i].bytes < bytes)
		i++;
	if (i == 0 || i == n)
		return bytes * second_per_byte(&l[i == 0 ? 0 : n - 1], alternate);
	double at = log(bytes / l[i - 1].bytes) / log(l[i].bytes / l[i - 1].bytes);
	double below = second_per_byte(&l[i - 1], alternate);
	return bytes * (below + at * (second_per_byte(&l[i], alternate) - below));
}

double ps_spatial_exchange_s(const struct ps_spatial_machine *m, int64_t owners, double bytes)
{
	double others = (double)(owners - 1) / (double)owners;

	if (owners < 2)
		return 0;
	return m->exchange_s + (double)(owners - 2) * m->exchange_more_s +
	       others * bytes * m->exchange_byte_s;
}

/* One row computes while weights come; several take the lines of each gate apart, and wait. */
static double together(const struct ps_spatial_rate *rate, double compute_s, double read_s,
		       int64_t rows)
{
	if (rows > 1)
		return compute_s + rate->rows_read * read_s;
	return fmax(compute_s, read_s) + (1 - rate->overlap) * fmin(compute_s, read_s);
}

/* What a core computes of a matrix of k values per hidden unit and gate, for `rows` rows. */
static double products_s(const struct ps_spatial_machine *m, const struct ps_spatial_rate *rate,
			 int64_t blocks, int gates, int64_t k, double rows)
{
	double vectors = (double)(blocks * gates * up(m->block, m->lanes) * up(k, rate->pack));

	return vectors * (rows > 1 ? rows * rate->rows_vector_s : rate->vector_s);
}

/* x * W. W is read once per batch of rows, from wherever W and R together live, and by the first
 * rows alone, so that little hides behind it; each batch drives R out, which the next step has to
 * read from as far away; what is made is written, and read again by the steps. */
static double inputs_s(const struct ps_spatial_machine *m, const struct ps_spatial_layer *l,
		       const struct ps_spatial_map *map, int64_t blocks, double r_slice)
{
	const struct ps_spatial_rate *rate = &m->rates[map->precision];
	int gates = ps_spatial_gates(l->cell);
	int64_t all = l->steps * l->batch, rows = map->rows < all ? map->rows : all;
	double slice = (double)(blocks * m->block * gates * up(l->inputs, rate->pack) * rate->pack *
				ps_spatial_weight_bytes(map->precision));
	double made = (double)(blocks * m->block * gates) * sizeof(float) * (double)rows;
	double times = (double)up(all, rows), both = slice + r_slice;
	double w_s = slice / both * ps_spatial_read_s(m, both, false);
	double again_s = r_slice / both * ps_spatial_read_s(m, both, false) -
			 ps_spatial_read_s(m, r_slice, map->alternate);

	return together(rate, products_s(m, rate, blocks, gates, l->inputs, (double)all),
			times * w_s, all) +
	       times * (fmax(0, again_s) + 2 * ps_spatial_read_s(m, made, false));
}

/* Of the h that all cores read: bytes where products are of bytes, else float32. */
static double h_bytes(const struct ps_spatial_layer *l, const struct ps_spatial_map *map)
{
	return (double)(l->hidden * l->batch) *
	       (map->precision == PS_SPATIAL_INT8 ? 1 : (double)sizeof(float));
}

static enum ps_spatial_limit cores_cost(const struct ps_spatial_machine *m,
					const struct ps_spatial_layer *l,
					const struct ps_spatial_map *map, struct ps_spatial_cost *c)
{
	const struct ps_spatial_rate *rate = &m->rates[map->precision];
	int gates = ps_spatial_gates(l->cell);
	int64_t all_blocks = up(l->hidden, m->block), blocks = up(all_blocks, map->owners);
	int64_t of_block = m->block * gates * up(l->hidden, rate->pack) * rate->pack *
			   ps_spatial_weight_bytes(map->precision);

	if (map->owners > m->units)
		return PS_SPATIAL_UNITS;
	c->units = map->owners;
	c->slice_bytes = blocks * of_block;
	c->weight_bytes = all_blocks * of_block;
	c->fragmentation = 1 - (double)l->hidden / (double)(map->owners * blocks * m->block);
	c->compute_s = products_s(m, rate, blocks, gates, l->hidden, (double)l->batch);
	c->read_s = ps_spatial_read_s(m, (double)c->slice_bytes, map->alternate);
	c->exchange_s = passes(l) * ps_spatial_exchange_s(m, map->owners, h_bytes(l, map));
	c->step_s = together(rate, c->compute_s, c->read_s, l->batch) +
		    (double)(blocks * l->batch) * rate->block_s[l->cell] + c->exchange_s;
	c->inputs_s = inputs_s(m, l, map, blocks, (double)c->slice_bytes);
	return PS_SPATIAL_FITS;
}

static bool is_sensible(const struct ps_spatial_machine *m, const struct ps_spatial_map *map)
{
	int64_t widest = m->lanes * m->rates[map->precision].pack;

	if (map->owners < 1)
		return false;
	return m->kind == PS_SPATIAL_CORES
		       ? map->rows >= 1
		       : map->reduce >= 1 && map->width >= 1 && map->width <= widest;
}

enum ps_spatial_limit ps_spatial_cost(const struct ps_spatial_machine *m,
				      const struct ps_spatial_layer *l,
				      const struct ps_spatial_map *map,
				      struct ps_spatial_cost *ret_cost)
{
	struct ps_spatial_cost c = {.ops = count_ops(l, l->inputs + l->hidden),
				    .recurrent_ops = count_ops(l, l->hidden)};

	if (!m->rates[map->precision].has)
		return PS_SPATIAL_NO_RATE;
	if (!is_sensible(m, map))
		return PS_SPATIAL_SENSELESS;
	enum ps_spatial_limit limit =
		m->kind == PS_SPATIAL_ARRAY ? array_cost(m, l, map, &c) : cores_cost(m, l, map, &c);
	if (limit != PS_SPATIAL_FITS)
		return limit;
	c.latency_s = (double)l->steps * c.step_s + c.inputs_s;
	if (m->kind == PS_SPATIAL_CORES && map->owners > 1)
		c.latency_s += m->start_s;
	*ret_cost = c;
	return PS_SPATIAL_FITS;
}
