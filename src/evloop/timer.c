#include "evloop/evloop_internal.h"

#include <stddef.h>

static struct ps_evloop_timer *timer_of(struct ps_heap_node *n)
{
	return (struct ps_evloop_timer *)((char *)n - offsetof(struct ps_evloop_timer, node));
}

void ps_evloop_timer_init(struct ps_evloop_timer *t,
			  void (*on_fire)(struct ps_evloop_timer *t, int64_t now_ns), void *ctx)
{
	*t = (struct ps_evloop_timer){.on_fire = on_fire, .ctx = ctx};
	ps_heap_node_init(&t->node);
}

enum ps_status ps_evloop_timer_set(struct ps_evloop *loop, struct ps_evloop_timer *t,
				   int64_t deadline_ns)
{
	ps_evloop_timer_cancel(t);
	enum ps_status s = ps_heap_push(&loop->timers, &t->node, deadline_ns);
	if (s == PS_OK)
		t->loop = loop;
	return s;
}

void ps_evloop_timer_cancel(struct ps_evloop_timer *t)
{
	if (t->loop)
		ps_heap_remove(&t->loop->timers, &t->node);
	t->loop = NULL;
}

bool ps_evloop_timer_is_set(const struct ps_evloop_timer *t)
{
	return t->loop != NULL;
}

int64_t ps_evloop_timers_wait_ns(struct ps_evloop *loop, int64_t timeout_ns)
{
	struct ps_heap_node *n = ps_heap_peek(&loop->timers);
	if (!n)
		return timeout_ns;
	int64_t now_ns = ps_evloop_now_ns(loop);
	if (n->key <= now_ns)
		return 0;
	int64_t left_ns;
	if (__builtin_sub_overflow(n->key, now_ns, &left_ns))
		return timeout_ns;
	return timeout_ns < 0 || left_ns < timeout_ns ? left_ns : timeout_ns;
}

void ps_evloop_timers_fire(struct ps_evloop *loop)
{
	/* Timers set by the callbacks get a later order number: they wait for the next round even
	 * when they are due, so that descriptors get their turn. */
	uint64_t fence = loop->timers.next_order;
	if (!ps_heap_peek(&loop->timers))
		return;
	int64_t now_ns = ps_evloop_now_ns(loop);
	for (struct ps_heap_node *n; (n = ps_heap_peek(&loop->timers)) != NULL;) {
		if (n->key > now_ns || n->order >= fence)
			break;
		struct ps_evloop_timer *t = timer_of(n);
		ps_evloop_timer_cancel(t);
		loop->stats.timers_fired++;
		if (now_ns - n->key > loop->stats.late_max_ns)
			loop->stats.late_max_ns = now_ns - n->key;
		t->on_fire(t, now_ns);
	}
}
