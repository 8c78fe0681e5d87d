#include "plan/oracle.h"

#include <math.h>

static enum ps_plan_reason judge(const void *ctx, int type, const struct ps_plan_count *set, int n,
				 int *ret_kind)
{
	const struct ps_plan_additive *a = ctx;
	double used[PS_PLAN_MAX_DIMS] = {0};

	for (int i = 0; i < n; i++) {
		for (int d = 0; d < a->dims; d++) {
			used[d] += set[i].count * a->size[set[i].kind * a->dims + d];
			/* Sums of tenths shall fill a whole. */
			if (used[d] > a->room[type * a->dims + d] * (1 + 1e-9)) {
				if (ret_kind)
					*ret_kind = set[i].kind;
				return PS_PLAN_LATENCY;
			}
		}
	}
	return PS_PLAN_FITS;
}

static int level(const void *ctx, int type, int kind)
{
	struct ps_plan_count one = {kind, 1};

	return judge(ctx, type, &one, 1, NULL) == PS_PLAN_FITS ? 0 : -1;
}

static void need(const void *ctx, int type, int level_, int kind, double *ret_need)
{
	const struct ps_plan_additive *a = ctx;

	(void)type;
	(void)level_;
	for (int d = 0; d < a->dims; d++)
		ret_need[d] = a->size[kind * a->dims + d];
}

static void least(const void *ctx, int type, int kind, double *ret_need)
{
	need(ctx, type, 0, kind, ret_need);
}

static double strictness(const void *ctx, int type, int kind)
{
	(void)ctx;
	(void)type;
	(void)kind;
	return 0;
}

static void room(const void *ctx, int type, double *ret_room)
{
	const struct ps_plan_additive *a = ctx;

	for (int d = 0; d < a->dims; d++)
		ret_room[d] = a->room[type * a->dims + d] * (1 + 1e-9);
}

static void foresee(const void *ctx, int type, const struct ps_plan_count *set, int n,
		    struct ps_plan_forecast *ret_forecast, struct ps_plan_state *ret_state)
{
	const struct ps_plan_additive *a = ctx;
	double most = 0;

	for (int d = 0; d < a->dims; d++) {
		double used = 0;
		for (int i = 0; i < n; i++)
			used += set[i].count * a->size[set[i].kind * a->dims + d];
		most = fmax(most, used / a->room[type * a->dims + d]);
	}
	for (int i = 0; i < n; i++) {
		ret_forecast[i] = (struct ps_plan_forecast){
			.latency_s = most,
			.high_s = most,
			.limit_s = 1,
			.share = a->size[set[i].kind * a->dims] / a->room[type * a->dims],
		};
	}
	*ret_state = (struct ps_plan_state){.share = most, .growth = 1 / most - 1};
}

struct ps_plan_oracle ps_plan_additive_oracle(const struct ps_plan_additive *a)
{
	return (struct ps_plan_oracle){
		.ctx = a,
		.types = a->types,
		.kinds = a->kinds,
		.dims = a->dims,
		.levels = 1,
		.level = level,
		.need = need,
		.least = least,
		.strictness = strictness,
		.room = room,
		.judge = judge,
		.foresee = foresee,
	};
}

const char *ps_plan_reason_text(enum ps_plan_reason reason)
{
	static const char *const texts[] = {
		[PS_PLAN_FITS] = "fits",
		[PS_PLAN_NOT_ALLOWED] = "the tenant does not allow this type",
		[PS_PLAN_NO_PROFILE] = "nothing is known of the model on this type",
		[PS_PLAN_TOO_SLOW] = "too slow even without any load",
		[PS_PLAN_LATENCY] = "the waiting breaks the agreement",
		[PS_PLAN_MEMORY] = "the memory does not suffice",
		[PS_PLAN_APART] = "tenants that are to be kept apart",
	};

	return texts[reason];
}
