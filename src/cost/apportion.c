/* apportion.c - whole units split by weights, none lost: the largest remainder. */
#include "cost/bill.h"

#include <stdlib.h>

struct remainder {
	unsigned __int128 left; /* of total x weight over the sum of weights */
	size_t index;
};

/* Larger remainders first; of equal ones the first. */
static int compare(const void *a, const void *b)
{
	const struct remainder *x = a, *y = b;
	if (x->left != y->left)
		return x->left > y->left ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static enum ps_status sum_weights(const int64_t *weights, size_t n, unsigned __int128 *ret_sum,
				  struct ps_error *err)
{
	unsigned __int128 sum = 0;
	for (size_t i = 0; i < n; i++) {
		if (weights[i] < 0)
			return ps_error_set(err, PS_EINVAL, "use number %zu is negative", i + 1);
		sum += (uint64_t)weights[i];
	}
	*ret_sum = sum;
	return PS_OK;
}

enum ps_status ps_cost_apportion(int64_t total, const int64_t *weights, size_t n,
				 int64_t *ret_parts, struct ps_error *err)
{
	unsigned __int128 sum = 0;
	enum ps_status st = sum_weights(weights, n, &sum, err);
	if (st != PS_OK)
		return st;
	if (total < 0 || (total > 0 && sum == 0))
		return ps_error_set(err, PS_EINVAL,
				    total < 0 ? "a cost is negative"
					      : "there is a cost, and nobody to bear it");
	struct remainder *r = malloc((n ? n : 1) * sizeof(*r));
	if (!r)
		return ps_error_set(err, PS_ENOMEM, "no memory to split a cost");
	int64_t given = 0;
	for (size_t i = 0; i < n; i++) {
		/* under 2^63 x 2^63 */
		unsigned __int128 product = (unsigned __int128)total * (uint64_t)weights[i];
		ret_parts[i] = sum ? (int64_t)(product / sum) : 0;
		r[i] = (struct remainder){sum ? product % sum : 0, i};
		given += ret_parts[i];
	}
	qsort(r, n, sizeof(*r), compare);
	/* What is left is the sum of the remainders over the sum of weights: under n units. */
	for (size_t i = 0; given < total; i++, given++)
		ret_parts[r[i].index]++;
	free(r);
	return PS_OK;
}
