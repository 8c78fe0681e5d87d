/* slice.c - whether this machine has what the campaign asks of it, before anything is started. */
#include "measure/measure_internal.h"

#include "host/host.h"

static enum ps_status no_cpu(const struct ps_measure_campaign *c, int cpu,
			     const struct ps_cpus *allowed, struct ps_error *err)
{
	char have[PS_CPUS_SIZE];
	ps_error_set(err, PS_EINVAL, "there is no CPU %d here that we may use", cpu);
	if (cpu == c->generator_cpu) {
		ps_measure_at(c, "generator_cpu", err);
	} else {
		ps_error_where(err, "%.100s:%d:slice.cpus", c->path, c->slice.where.line);
	}
	ps_error_hint(err, "CPUs that may be used: %s", ps_cpus_format(allowed, have));
	return PS_EINVAL;
}

enum ps_status ps_measure_check_slice(const struct ps_measure_campaign *c, struct ps_error *err)
{
	struct ps_cpus allowed = ps_host_cpus_allowed();
	enum ps_status st = PS_OK;
	for (int cpu = 0; cpu < PS_CPUS_MAX; cpu++) {
		/* the slice of a remote server is described, for its price, and not made here */
		bool sliced = !c->server.url && ps_cpus_has(&c->slice.cpus, cpu);
		if ((sliced || cpu == c->generator_cpu) && !ps_cpus_has(&allowed, cpu)) {
			return no_cpu(c, cpu, &allowed, err);
		}
	}
	if (!c->server.url && c->slice.cpu_quota > 0) {
		st = ps_host_quota_check(c->slice.cpu_quota, err);
	}
	if (st != PS_OK) {
		ps_error_where(err, "%.100s:%d:slice.cpu_quota", c->path, c->slice.where.line);
	}
	return st;
}
