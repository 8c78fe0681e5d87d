/* Work for the end of the round: a ring whose head is the loop's. */
#include "evloop/evloop_internal.h"

#include <stddef.h>

static void append(struct ps_evloop_later *head, struct ps_evloop_later *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

void ps_evloop_later_init(struct ps_evloop *loop)
{
	loop->later.prev = loop->later.next = &loop->later;
}

bool ps_evloop_later_is_empty(const struct ps_evloop *loop)
{
	return loop->later.next == &loop->later;
}

void ps_evloop_later_add(struct ps_evloop *loop, struct ps_evloop_later *l)
{
	if (!l->next)
		append(&loop->later, l);
}

void ps_evloop_later_cancel(struct ps_evloop_later *l)
{
	if (!l->next)
		return;
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->prev = l->next = NULL;
}

void ps_evloop_later_run(struct ps_evloop *loop)
{
	/* A mark in the ring: what is left meanwhile comes behind it and waits for the next round.
	 */
	struct ps_evloop_later mark = {0};
	if (ps_evloop_later_is_empty(loop))
		return;
	append(&loop->later, &mark);
	while (loop->later.next != &mark) {
		struct ps_evloop_later *l = loop->later.next;
		ps_evloop_later_cancel(l);
		l->run(l);
	}
	ps_evloop_later_cancel(&mark);
}
