/* scratch.c - the room that runs use. Each run takes one that is idle, or a new one. */
#include "engine/rnn/layer_internal.h"

#include <stdlib.h>

#define ALIGN 64

static void fini(struct ps_rnn_scratch *s)
{
	for (int d = 0; d < 2; d++) {
		struct ps_rnn_room *room = &s->room[d];
		void *all[] = {room->h[0],   room->h[1],     room->c,	    room->gated,
			       room->acc,    room->code[0],  room->code[1], room->gated_code,
			       room->x_code, room->h_scales, room->broken,  room->in,
			       room->to,     room->in_scales};
		for (size_t i = 0; i < sizeof all / sizeof *all; i++)
			free(all[i]);
		*room = (struct ps_rnn_room){};
	}
	s->rows = s->states = s->bytes = 0;
	s->threads = 0;
}

static void *room_of(struct ps_rnn_scratch *s, int64_t n, size_t size, bool *ok)
{
	size_t bytes = ((size_t)n * size + ALIGN) / ALIGN * ALIGN;
	void *p = s->counting ? NULL : aligned_alloc(ALIGN, bytes);

	s->bytes += (int64_t)bytes;
	*ok = *ok && p;
	return p;
}

static bool make_codes(const struct ps_rnn *r, struct ps_rnn_scratch *s, struct ps_rnn_room *room)
{
	int64_t h_row = ps_rnn_code_row(r->kernel, r->precision, r->blocks * PS_RNN_BLOCK);
	int64_t x_row = ps_rnn_code_row(r->kernel, r->precision, r->spec.inputs);
	bool ok = true;

	for (int i = 0; i < 2; i++)
		room->code[i] = room_of(s, s->states * h_row, 1, &ok);
	room->gated_code = room_of(s, s->states * h_row, 1, &ok);
	room->x_code = room_of(s, s->rows * s->threads * x_row, 1, &ok);
	room->h_scales = room_of(s, s->states, sizeof(float), &ok);
	room->broken = room_of(s, 3 * s->threads * s->states, 1, &ok);
	return ok;
}

static bool make(const struct ps_rnn *r, struct ps_rnn_scratch *s, struct ps_rnn_room *room)
{
	int64_t units = r->blocks * PS_RNN_BLOCK;
	bool ok = true;

	for (int i = 0; i < 2; i++)
		room->h[i] = room_of(s, s->states * units, sizeof(float), &ok);
	room->c = room_of(s, s->states * units, sizeof(float), &ok);
	room->gated = room_of(s, s->states * units, sizeof(float), &ok);
	room->acc = room_of(s, s->rows * units * r->slots, sizeof(float), &ok);
	room->in = room_of(s, s->rows * s->threads, sizeof(float *), &ok);
	room->to = room_of(s, s->rows * s->threads, sizeof(float *), &ok);
	room->in_scales = room_of(s, s->rows * s->threads, sizeof(float), &ok);
	return (!r->kernel->encode[r->precision] || make_codes(r, s, room)) && ok;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Grows, never shrinks. */
static bool fit(const struct ps_rnn *r, struct ps_rnn_scratch *s, int threads, int64_t rows,
		int64_t states)
{
	bool ok = true;

	if (rows <= s->rows && states <= s->states && threads <= s->threads)
		return true;
	rows = most(rows, s->rows);
	states = most(states, s->states);
	threads = (int)most(threads, s->threads);
	fini(s);
	s->rows = rows;
	s->states = states;
	s->threads = threads;
	for (int d = 0; d < r->directions; d++)
		ok = make(r, s, &s->room[d]) && ok;
	if (!ok)
		fini(s);
	return ok;
}

int64_t ps_rnn_scratch_need(const struct ps_rnn *r, int threads)
{
	const struct ps_rnn_run run = {.steps = PS_RNN_MAX_STEPS, .batch = 1};
	struct ps_rnn_scratch s = {.rows = ps_rnn_steps_at_once(r, threads, &run),
				   .states = run.batch,
				   .threads = threads,
				   .counting = true};

	for (int d = 0; d < r->directions; d++)
		(void)make(r, &s, &s.room[d]);
	return s.bytes;
}

enum ps_status ps_rnn_scratch_take(struct ps_rnn *r, int threads, int64_t rows, int64_t states,
				   struct ps_rnn_scratch **ret_scratch, struct ps_error *err)
{
	pthread_mutex_lock(&r->lock);
	struct ps_rnn_scratch *s = r->idle;
	if (s)
		r->idle = s->next;
	pthread_mutex_unlock(&r->lock);
	if (!s)
		s = calloc(1, sizeof *s);
	int64_t before = s ? s->bytes : 0;
	bool fits = s && fit(r, s, threads, rows, states);
	pthread_mutex_lock(&r->lock);
	r->room_bytes += s ? s->bytes - before : 0;
	pthread_mutex_unlock(&r->lock);
	if (!fits) {
		free(s);
		return ps_error_set(err, PS_ENOMEM, "no memory to run a recurrent layer");
	}
	*ret_scratch = s;
	return PS_OK;
}

void ps_rnn_scratch_put(struct ps_rnn *r, struct ps_rnn_scratch *s)
{
	pthread_mutex_lock(&r->lock);
	s->next = r->idle;
	r->idle = s;
	pthread_mutex_unlock(&r->lock);
}

void ps_rnn_scratch_free_all(struct ps_rnn *r)
{
	while (r->idle) {
		struct ps_rnn_scratch *s = r->idle;
		r->idle = s->next;
		fini(s);
		free(s);
	}
}

size_t ps_rnn_bytes(struct ps_rnn *r)
{
	pthread_mutex_lock(&r->lock);
	int64_t rooms = r->room_bytes;
	pthread_mutex_unlock(&r->lock);
	return r->packed_bytes + (size_t)rooms;
}
