#include "host/watch.h"

#include <stdio.h>
#include <string.h>

static int64_t positive(int64_t v)
{
	return v > 0 ? v : 0;
}

/* Divides `total` by weights so that the parts add up: part i ends where the running sum of
 * weights says, so rounding never gathers. 128 bits: nanoseconds times nanoseconds. */
struct divider {
	int64_t total, given;
	unsigned __int128 weights, seen;
	int shift; /* of the weights, so that their product with the total fits */
};

static struct divider divide(int64_t total, unsigned __int128 weights)
{
	struct divider d = {.total = total, .weights = weights};
	while (weights >> d.shift >> 64 != 0) {
		d.shift++;
	}
	return d;
}

static int64_t smaller(unsigned __int128 a, int64_t b)
{
	return a < (unsigned __int128)b ? (int64_t)a : b;
}

static int64_t next_part(struct divider *d, int64_t weight)
{
	unsigned __int128 total = (unsigned __int128)d->total;
	d->seen += (unsigned __int128)weight;
	int64_t until =
		d->weights > 0 ? (int64_t)(total * (d->seen >> d->shift) / (d->weights >> d->shift))
			       : 0;
	int64_t part = until - d->given;
	d->given = until;
	return part;
}

void ps_host_attribute(int64_t cpu_ns, int64_t memory_bytes, const struct ps_host_part *parts,
		       size_t n, struct ps_host_charge *ret_charges,
		       struct ps_host_charge *ret_nobody)
{
	unsigned __int128 compute = 0, requests = 0, resident = 0;
	cpu_ns = positive(cpu_ns);
	memory_bytes = positive(memory_bytes);
	for (size_t i = 0; i < n; i++) {
		compute += (unsigned __int128)positive(parts[i].compute_ns);
		requests += (unsigned __int128)positive(parts[i].requests);
		resident += (unsigned __int128)positive(parts[i].resident_bytes);
	}
	struct divider c = divide(smaller(compute, cpu_ns), compute);
	struct divider o = divide(cpu_ns - c.total, requests);
	struct divider m = divide(smaller(resident, memory_bytes), resident);
	for (size_t i = 0; i < n; i++) {
		ret_charges[i] = (struct ps_host_charge){
			.compute_ns = next_part(&c, positive(parts[i].compute_ns)),
			.overhead_ns = next_part(&o, positive(parts[i].requests)),
			.memory_bytes = next_part(&m, positive(parts[i].resident_bytes)),
		};
	}
	*ret_nobody = (struct ps_host_charge){
		.compute_ns = c.total - c.given,
		.overhead_ns = o.total - o.given,
		.memory_bytes = memory_bytes - m.given,
	};
}

bool ps_host_memory_over(const struct ps_host_sample *samples, size_t n, int64_t limit_bytes,
			 char *reason, size_t size)
{
	int64_t most = 0;
	for (size_t i = 0; i < n; i++) {
		const struct ps_host_usage *u = &samples[i].server;
		most = u->rss_bytes > most ? u->rss_bytes : most;
		most = u->peak_rss_bytes > most ? u->peak_rss_bytes : most;
	}
	if (limit_bytes <= 0 || most <= limit_bytes) {
		return false;
	}
	(void)snprintf(
		reason, size,
		"the server held %.0f MiB of memory, the slice has %.0f MiB and nothing here "
		"could limit it",
		(double)most / (1 << 20), (double)limit_bytes / (1 << 20));
	return true;
}

struct ps_host_apart ps_host_apart(const struct ps_cpus *slice, const struct ps_cpus *generator,
				   const struct ps_cpus *allowed, int64_t generator_cpu_ns,
				   int64_t span_ns)
{
	struct ps_host_apart a = {.apart = true};
	const struct ps_cpus *s = ps_cpus_count(slice) > 0 ? slice : allowed;
	const struct ps_cpus *g = ps_cpus_count(generator) > 0 ? generator : allowed;
	for (int cpu = 0; cpu < PS_CPUS_MAX; cpu++) {
		if (ps_cpus_has(s, cpu) && ps_cpus_has(g, cpu)) {
			ps_cpus_add(&a.shared, cpu);
			a.apart = false;
		}
	}
	double held = (double)span_ns * ps_cpus_count(s);
	if (!a.apart && held > 0) {
		double most = (double)span_ns * ps_cpus_count(&a.shared);
		double used = (double)positive(generator_cpu_ns);
		a.generator_share = (used < most ? used : most) / held;
	}
	return a;
}
