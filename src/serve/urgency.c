#include "serve/urgency.h"

enum { LOOK_AT = 16, SHORTEST_NS = 100000000 };

bool ps_serve_urgency_is_due(struct ps_serve_urgency *u)
{
	return u->requests++ % LOOK_AT == LOOK_AT - 1;
}

bool ps_serve_urgency_changes(struct ps_serve_urgency *u, int64_t now_ns, int64_t cpu_ns)
{
	int64_t wall_ns = now_ns - u->since_ns, used_ns = cpu_ns - u->cpu_ns;
	bool calm = u->calm;
	if (wall_ns < SHORTEST_NS)
		return false;
	if (used_ns > wall_ns / 2)
		calm = true;
	else if (used_ns < wall_ns / 4)
		calm = false;
	bool changes = calm != u->calm;
	u->since_ns = now_ns;
	u->cpu_ns = cpu_ns;
	u->calm = calm;
	return changes;
}
