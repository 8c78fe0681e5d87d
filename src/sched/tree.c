/* A treap: a search tree by key that is also a heap by random priority, so its depth is O(log n)
 * whatever the order of insertion. Neighbours are linked, so the first and the next cost nothing.
 */
#include "sched/sched_internal.h"

static bool before(const struct ps_sched_node *a, const struct ps_sched_node *b)
{
	if (a->major != b->major)
		return a->major < b->major;
	if (a->minor != b->minor)
		return a->minor < b->minor;
	return a->order < b->order;
}

static int64_t sum_of(const struct ps_sched_node *n)
{
	return n ? n->sum : 0;
}

static void resum(struct ps_sched_node *n)
{
	n->sum = n->weight + sum_of(n->left) + sum_of(n->right);
}

/* Puts `to` where `from` hangs. */
static void replace(struct tree *t, struct ps_sched_node *from, struct ps_sched_node *to)
{
	struct ps_sched_node *p = from->parent;
	if (!p)
		t->root = to;
	else if (p->left == from)
		p->left = to;
	else
		p->right = to;
	if (to)
		to->parent = p;
}

/* Makes `n` the parent of its parent. */
static void rotate(struct tree *t, struct ps_sched_node *n)
{
	struct ps_sched_node *p = n->parent, *inner;
	replace(t, p, n);
	if (p->left == n) {
		inner = n->right;
		p->left = inner;
		n->right = p;
	} else {
		inner = n->left;
		p->right = inner;
		n->left = p;
	}
	if (inner)
		inner->parent = p;
	p->parent = n;
	resum(p);
	resum(n);
}

static uint32_t draw(struct tree *t)
{
	/* Steele, Lea, Flood: splitmix64 */
	uint64_t z = t->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(z >> 32);
}

static void thread(struct tree *t, struct ps_sched_node *n, struct ps_sched_node *prev,
		   struct ps_sched_node *next)
{
	n->prev = prev;
	n->next = next;
	if (prev)
		prev->next = n;
	else
		t->first = n;
	if (next)
		next->prev = n;
	else
		t->last = n;
}

static void attach(struct tree *t, struct ps_sched_node *n)
{
	struct ps_sched_node *p = t->last;
	if (!p) {
		t->root = n;
		n->parent = NULL;
		thread(t, n, NULL, NULL);
		return;
	}
	if (!before(n, p)) { /* the common case: the last one has no right child */
		p->right = n;
		thread(t, n, p, NULL);
	} else {
		for (p = t->root;;) {
			struct ps_sched_node **down = before(n, p) ? &p->left : &p->right;
			if (!*down) {
				*down = n;
				break;
			}
			p = *down;
		}
		if (p->left == n)
			thread(t, n, p->prev, p);
		else
			thread(t, n, p, p->next);
	}
	n->parent = p;
}

void tree_insert(struct tree *t, struct ps_sched_node *n)
{
	n->left = n->right = NULL;
	n->sum = n->weight;
	n->priority = draw(t);
	attach(t, n);
	if (n->weight)
		for (struct ps_sched_node *p = n->parent; p; p = p->parent)
			p->sum += n->weight;
	while (n->parent && n->parent->priority > n->priority)
		rotate(t, n);
}

void tree_remove(struct tree *t, struct ps_sched_node *n)
{
	while (n->left && n->right)
		rotate(t, n->left->priority < n->right->priority ? n->left : n->right);
	for (struct ps_sched_node *p = n->parent; p; p = p->parent)
		p->sum -= n->weight;
	replace(t, n, n->left ? n->left : n->right);
	if (n->prev)
		n->prev->next = n->next;
	else
		t->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		t->last = n->prev;
	n->left = n->right = n->parent = n->next = n->prev = NULL;
}

int64_t tree_sum_upto(const struct tree *t, const struct ps_sched_node *key)
{
	int64_t sum = 0;
	const struct ps_sched_node *n = t->root;
	while (n) {
		if (before(key, n)) {
			n = n->left;
			continue;
		}
		sum += sum_of(n->left) + n->weight;
		n = n->right;
	}
	return sum;
}

static bool check_node(const struct ps_sched_node *n, const struct ps_sched_node *parent, int depth)
{
	if (!n)
		return true;
	return depth < 200 && n->parent == parent && (!parent || parent->priority <= n->priority) &&
	       n->sum == n->weight + sum_of(n->left) + sum_of(n->right) &&
	       check_node(n->left, n, depth + 1) && check_node(n->right, n, depth + 1);
}

bool tree_check(const struct tree *t)
{
	int64_t sum = 0;
	const struct ps_sched_node *prev = NULL;
	for (const struct ps_sched_node *n = t->first; n; prev = n, n = n->next) {
		if (n->prev != prev || (prev && before(n, prev)))
			return false;
		sum += n->weight;
	}
	return t->last == prev && sum == tree_sum(t) && check_node(t->root, NULL, 0);
}
