/* tuning_internal.h - how a layer is run, where there is a choice. */
#ifndef PS_ENGINE_RNN_TUNING_INTERNAL_H
#define PS_ENGINE_RNN_TUNING_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* All zero but `alternate` is what an untuned layer has. */
struct ps_rnn_tuning {
	int threads;	/* of the team that take part; 0: all */
	bool alternate; /* odd steps go backwards through the blocks */
	int prefetch;	/* bytes ahead of a step's weights; 0: none */
	int64_t rows;	/* of x * W made at once; 0: as many as suit a usual cache */
	/* a run of so many rows (steps times batch) or fewer is made by one thread, because waking
	 * the others takes longer */
	int64_t alone_rows;
};

#define PS_RNN_LAGS 2
#define PS_RNN_LOGS 7 /* 1 to 64 threads */

/* What a layer takes with one row, by the model; zeros: not known. */
struct ps_rnn_estimate {
	double start_s;			/* to wake other threads */
	double wide_step_s, wide_row_s; /* a step, and a row of x * W, with the threads tuned for */
	double step_s[PS_RNN_LOGS];	/* with 1, 2, 4 ... threads */
	double row_s[PS_RNN_LAGS][PS_RNN_LOGS]; /* with 8 and 32 rows made at once */
};

#endif
