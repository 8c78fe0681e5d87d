/* layer_internal.h - a packed recurrent layer and the room that its runs use. */
#ifndef PS_ENGINE_RNN_LAYER_INTERNAL_H
#define PS_ENGINE_RNN_LAYER_INTERNAL_H

#include "engine/rnn/kernel_internal.h"
#include "engine/rnn/team.h"
#include "engine/rnn/tuning_internal.h"

#include <pthread.h>
#include <stdatomic.h>

/* One direction's weights, block by block as the kernels read them. */
struct ps_rnn_packed {
	struct ps_rnn_matrix {
		void *weights;	  /* [block][k / group][gates][16][group] */
		float *scales;	  /* int8: [block][gates][16] */
		int32_t *offsets; /* int8: the same; see struct ps_rnn_product */
		int64_t k;
		int gates, slot; /* the first slot that it fills */
	} w, r, n;		 /* n: classic GRU's candidate, from r * h; else no weights */
	float *start;		 /* [block][slots][16]: biases that a step begins with */
	float *p;		 /* [block][3][16] peepholes; NULL: none */
};

/* Which part of a direction a thread has. */
struct ps_rnn_share {
	int direction;
	int64_t from, to; /* blocks */
	int first, n;	  /* threads that have this direction, to meet with */
};

struct ps_rnn {
	struct ps_rnn_spec spec;
	enum ps_rnn_precision precision;
	const struct ps_rnn_kernel *kernel;
	int directions, gates;
	int slots; /* pre-activations kept per unit */
	int64_t blocks;
	struct ps_rnn_packed packed[2];
	size_t packed_bytes;
	atomic_bool not_finite;	     /* some weight of R: nothing times it may be left out */
	bool counting;		     /* what allocating would take, without doing it */
	struct ps_rnn_tuning tuning; /* changed while no run is inside */
	struct ps_rnn_estimate estimate;

	struct ps_rnn_watch *watch; /* measure.c: compared with float32; NULL: not */

	pthread_mutex_t lock;	     /* of what follows */
	struct ps_rnn_scratch *idle; /* as many as runs were ever inside together */
	int64_t room_bytes;	     /* of these and of those in use */
};

/* Bytes of a block of a matrix, k rounded up to whole groups. */
static inline int64_t ps_rnn_block_bytes(const struct ps_rnn *r, const struct ps_rnn_matrix *m)
{
	int64_t group = ps_rnn_group(r->precision);

	return (m->k + group - 1) / group * m->gates * PS_RNN_BLOCK * 4;
}

/* Room for one run: grown, never shrunk. */
struct ps_rnn_scratch {
	struct ps_rnn_scratch *next;
	int64_t rows, states, bytes; /* rows of pre-activations and of states that fit */
	int threads;
	bool counting; /* what it would take, without taking it */
	/* of each direction; rows are 16 * blocks long */
	struct ps_rnn_room {
		float *h[2];  /* [N]: before and after a step, by turns */
		float *c;     /* [N] */
		float *gated; /* [N], classic GRU: r * h */
		float *acc;   /* [block][steps at once * N][slots][16] */
		/* what the products read in place of h, gated and x, where they want codes */
		char *code[2], *gated_code; /* [N] rows of ps_rnn_code_row */
		char *x_code;		    /* per thread: [steps at once * N] */
		float *h_scales;	    /* int8: [N] */
		unsigned char *broken;	    /* per thread: [3][N]: its part of code[0], code[1] or
					     * gated_code stands for a NaN */
		/* per thread: [steps at once * N] */
		const void **in;
		float **to, *in_scales;
	} room[2];
};

/* ps_rnn_share_of says what thread `i` of `threads` does in its `turn`-th direction; false: nothing
 * more. With more threads than directions each thread has one direction only, so that fewer meet.
 */
bool ps_rnn_share_of(const struct ps_rnn *r, int threads, int i, int turn,
		     struct ps_rnn_share *ret_share);
/* ps_rnn_threads_for returns how many of a team's threads a run of so many rows (steps times batch)
 * takes: never more than there are blocks, and one where waking another would take longer than it
 * saves. */
int ps_rnn_threads_for(const struct ps_rnn *r, const struct ps_rnn_team *team, int64_t rows);
/* ps_rnn_run_check says whether a run makes sense: PS_EINVAL, PS_ETOOBIG. */
enum ps_status ps_rnn_run_check(const struct ps_rnn_run *run, struct ps_error *err);

#define PS_RNN_MAX_STACK 16
/* ps_rnn_stacks says whether a layer can be one of a stack: forward, and in layout 0. */
bool ps_rnn_stacks(const struct ps_rnn *r);
/* ps_rnn_run_stack runs up to PS_RNN_MAX_STACK layers of which each has the Y of the one before for
 * its X, and nothing else of it: one after the other, or, where that is faster by the estimates,
 * several at once. The results are the same. Errors of ps_rnn_run. */
enum ps_status ps_rnn_run_stack(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n,
				struct ps_rnn_team *team, struct ps_error *err);
struct ps_rnn_wave {
	int layers;    /* at once; 0: one after the other */
	int threads;   /* of each; layers * threads are in the team */
	int64_t steps; /* that each is behind the one below */
};
/* ps_rnn_choose_wave says how, by the estimates. */
struct ps_rnn_wave ps_rnn_choose_wave(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n,
				      const struct ps_rnn_team *team);
/* ps_rnn_run_waves runs them so. All stack, and their runs have the same steps, over 0, and batch.
 */
enum ps_status ps_rnn_run_waves(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n,
				struct ps_rnn_team *team, const struct ps_rnn_wave *wave,
				struct ps_error *err);

/* ps_rnn_scratch_take gives a run room for `rows` rows of pre-activations and `states` rows of
 * states; ps_rnn_scratch_put takes it back. PS_ENOMEM. */
enum ps_status ps_rnn_scratch_take(struct ps_rnn *r, int threads, int64_t rows, int64_t states,
				   struct ps_rnn_scratch **ret_scratch, struct ps_error *err);
void ps_rnn_scratch_put(struct ps_rnn *r, struct ps_rnn_scratch *s);
/* ps_rnn_steps_at_once: of so many steps x * W is made together, in a run of that size. */
int64_t ps_rnn_steps_at_once(const struct ps_rnn *r, int threads, const struct ps_rnn_run *run);
/* ps_rnn_watch_run is ps_rnn_run while the layer is watched (rnn.h). */
enum ps_status ps_rnn_watch_run(struct ps_rnn *r, struct ps_rnn_team *team,
				const struct ps_rnn_run *run, struct ps_error *err);
/* ps_rnn_scratch_need: bytes of the room that a long run of one row takes on so many threads. */
int64_t ps_rnn_scratch_need(const struct ps_rnn *r, int threads);
/* ps_rnn_scratch_free_all frees what is idle. */
void ps_rnn_scratch_free_all(struct ps_rnn *r);

#endif
