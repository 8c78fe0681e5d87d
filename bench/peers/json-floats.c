/* json-floats.c - how fast the numbers of a JSON tensor become floats: our parser of infer requests
 * against jansson and against strtof in a loop, all on the same text.
 *
 *   json-floats WHO DIGITS SECONDS     WHO: ours, jansson or strtof
 *
 * prints the time of one request in microseconds. The text is an infer request with 1,000 floats
 * between -1 and 1, written with so many significant digits (9: the floats themselves; 17: what
 * Python writes for them). strtof gets the array alone, with its end known. All three must give the
 * same bits, or the program fails.
 */
#include "base/clock.h"
#include "oip/oip.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1000, BODY_BYTES = 64 * 1024 };

struct text {
	char body[BODY_BYTES];
	size_t n, array; /* bytes; where the first number stands */
};

static void fail(const char *why)
{
	fprintf(stderr, "json-floats: %s\n", why);
	exit(1);
}

static uint64_t next(void)
{
	static uint64_t state = 88172645463325252u;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void write_text(struct text *t, int digits)
{
	size_t n = (size_t)snprintf(t->body, sizeof t->body,
				    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
				    "\"shape\":[1,%d],\"data\":[",
				    N);
	t->array = n;
	for (int i = 0; i < N; i++) {
		float v = (float)((double)(next() >> 11) * 0x1p-52 - 1);
		n += (size_t)snprintf(t->body + n, sizeof t->body - n, "%s%.*g", i ? "," : "",
				      digits, (double)v);
	}
	n += (size_t)snprintf(t->body + n, sizeof t->body - n, "]}]}");
	t->n = n;
}

/* The parser writes to what it reads, so that it gets a copy each time, and its time is ours. */
static void ours(const struct text *t, float *out)
{
	static char copy[BODY_BYTES];
	struct ps_arena arena;
	struct ps_oip_request q;
	ps_arena_init(&arena, 0);
	memcpy(copy, t->body, t->n);
	if (ps_oip_parse_request(copy, t->n, -1, &arena, &q, NULL) != PS_OK)
		fail("ours refuses the text");
	memcpy(out, q.inputs[0].data, N * sizeof *out);
	ps_arena_fini(&arena);
}

static void with_jansson(const struct text *t, float *out)
{
	json_t *root = json_loadb(t->body, t->n, 0, NULL);
	json_t *input = json_array_get(json_object_get(root, "inputs"), 0);
	json_t *data = json_object_get(input, "data");
	if (json_array_size(data) != N)
		fail("jansson refuses the text");
	for (size_t i = 0; i < N; i++)
		out[i] = (float)json_number_value(json_array_get(data, i));
	json_decref(root);
}

static void with_strtof(const struct text *t, float *out)
{
	const char *p = t->body + t->array;
	for (int i = 0; i < N; i++) {
		char *end;
		out[i] = strtof(p, &end);
		p = end + 1;
	}
}

typedef void parser(const struct text *t, float *out);

static parser *parser_of(const char *who)
{
	if (strcmp(who, "ours") == 0)
		return ours;
	if (strcmp(who, "jansson") == 0)
		return with_jansson;
	if (strcmp(who, "strtof") == 0)
		return with_strtof;
	fail("WHO is ours, jansson or strtof");
	return NULL;
}

int main(int argc, char **argv)
{
	static struct text t;
	static float mine[N], theirs[N];
	if (argc != 4)
		fail("usage: json-floats WHO DIGITS SECONDS");
	parser *parse = parser_of(argv[1]);
	write_text(&t, atoi(argv[2]));
	with_strtof(&t, theirs);
	parse(&t, mine);
	if (memcmp(mine, theirs, sizeof mine) != 0)
		fail("not the same floats");
	int64_t start = ps_clock_now_ns(), stop = start + (int64_t)(atof(argv[3]) * 1e9), now;
	long rounds = 0;
	do {
		for (int i = 0; i < 50; i++)
			parse(&t, mine);
		rounds += 50;
		now = ps_clock_now_ns();
	} while (now < stop);
	printf("%.3f\n", (double)(now - start) / 1000 / (double)rounds);
	return 0;
}
