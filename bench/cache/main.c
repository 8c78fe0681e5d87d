/* perseus-cache-check: the fair policies against every set there is, and against the clock.
 *
 *	perseus-cache-check small CASES SEED
 *	perseus-cache-check time TENANTS ITEMS POLICY REPEAT SEED PART [spread|level|same]
 *
 * JSON objects on stdout; exit code 1 when something differs or a certificate is
 * not as good as asked for, 2 for a wrong command line.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void instance_fini(struct instance *c)
{
	free(c->tenant);
	free(c->item);
	free(c->demand);
}

bool instance_init(struct instance *c, int tenants, int items)
{
	*c = (struct instance){
		.tenant = calloc((size_t)tenants, sizeof(*c->tenant)),
		.item = calloc((size_t)items, sizeof(*c->item)),
		.demand = calloc((size_t)tenants * (size_t)items, sizeof(*c->demand)),
	};
	c->p = (struct ps_cache_problem){.tenants = tenants,
					 .items = items,
					 .tenant = c->tenant,
					 .item = c->item,
					 .demand = c->demand};
	return c->tenant && c->item && c->demand;
}

static int place_of(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *end || n < 1 || n > 1000000000 ? -1 : (int)n;
}

static int usage(void)
{
	fprintf(stderr, "perseus-cache-check small CASES SEED\n"
			"perseus-cache-check time TENANTS ITEMS POLICY REPEAT SEED PART "
			"[spread|level|same]\n");
	return 2;
}

static const char *const shapes[SHAPES + 1] = {"spread", "level", "same", NULL};

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "small") == 0 && number(argv[2]) > 0 &&
	    number(argv[3]) > 0)
		return small_run(number(argv[2]), (uint64_t)number(argv[3]));
	if ((argc != 8 && argc != 9) || strcmp(argv[1], "time") != 0)
		return usage();
	int tenants = number(argv[2]), items = number(argv[3]),
	    kind = place_of(ps_cache_policy_names(), argv[4]);
	int shape = argc == 9 ? place_of(shapes, argv[8]) : SPREAD;
	if (tenants < 1 || tenants > PS_CACHE_MAX_TENANTS || items < 1 ||
	    items > PS_CACHE_MAX_ITEMS || kind < 0 || shape < 0 || number(argv[5]) < 1 ||
	    number(argv[6]) < 1 || number(argv[7]) < 1)
		return usage();
	return time_run(tenants, items, (enum ps_cache_kind)kind, number(argv[5]),
			(uint64_t)number(argv[6]), number(argv[7]), (enum shape)shape);
}
