#include "engine/engine.h"
#include "engine/engine_internal.h"
#include "engine/rnn/layers.h"

#include <string.h>

static const struct ps_engine_ops *const engines[] = {&ps_engine_onnxruntime, &ps_engine_synthetic,
						      &ps_engine_rnn};

const struct ps_engine_ops *ps_engine_find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

const struct ps_engine_ops *ps_engine_for_path(const char *path)
{
	if (ends_with(path, ".onnx") || ends_with(path, ".ort"))
		return &ps_engine_onnxruntime;
	if (ends_with(path, ".synthetic.yaml"))
		return &ps_engine_synthetic;
	return NULL;
}

const struct ps_engine_ops *ps_engine_for_model(const char *path, const char *rnn)
{
	if (rnn && rnn[0] && ends_with(path, ".onnx") && ps_engine_rnn_can(path, rnn))
		return &ps_engine_rnn;
	return ps_engine_for_path(path);
}

enum ps_status ps_engine_rnn_check(const char *rnn, double max_error, struct ps_error *err)
{
	struct ps_rnn_wish wish;

	return rnn && rnn[0] ? ps_rnn_wish_read(rnn, max_error, &wish, err) : PS_OK;
}

/* A BYTES tensor comes from outside: its lengths must add up before anybody walks them. */
static enum ps_status check_bytes(const struct ps_tensor *t, const char *name, struct ps_error *err)
{
	const char *p = t->data;
	size_t left = t->bytes;
	int64_t count;
	enum ps_status st = ps_tensor_count(t->dims, t->rank, &count, err);

	if (st != PS_OK)
		return st;
	for (; count > 0; count--) {
		uint32_t n;

		if (left < 4)
			break;
		memcpy(&n, p, 4);
		if (left - 4 < n)
			break;
		p += 4 + (size_t)n;
		left -= 4 + (size_t)n;
	}
	if (count > 0 || left > 0)
		return ps_error_set(err, PS_EINVAL,
				    "the element lengths inside BYTES input '%s' do not add up to "
				    "its shape and its %zu bytes",
				    name, t->bytes);
	return PS_OK;
}

enum ps_status ps_engine_check_run(const struct ps_engine_describe *d,
				   const struct ps_engine_run *run, struct ps_error *err)
{
	if (run->n_inputs != d->n_inputs || run->n_outputs != d->n_outputs)
		return ps_error_set(err, PS_EINVAL,
				    "the model has %d inputs and %d outputs, the run %d and %d",
				    d->n_inputs, d->n_outputs, run->n_inputs, run->n_outputs);
	for (int i = 0; i < d->n_inputs; i++) {
		enum ps_status st = ps_tensor_check(&d->inputs[i], &run->inputs[i], err);

		if (st == PS_OK && d->inputs[i].dtype == PS_DTYPE_BYTES)
			st = check_bytes(&run->inputs[i], d->inputs[i].name, err);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

enum ps_status ps_engine_place_output(struct ps_engine_run *run, struct ps_tensor *out,
				      size_t bytes, struct ps_error *err)
{
	if (bytes > PS_ENGINE_MAX_OUTPUT_BYTES)
		return ps_error_set(err, PS_ETOOBIG,
				    "output \"%s\" would take %zu bytes, the limit is %zu",
				    out->name, bytes, PS_ENGINE_MAX_OUTPUT_BYTES);
	if (!out->data) {
		out->data = run->alloc(run->alloc_ctx, bytes ? bytes : 1);
		if (!out->data)
			return ps_error_set(err, PS_ENOMEM,
					    "no memory for output \"%s\" of %zu bytes", out->name,
					    bytes);
	} else if (out->bytes < bytes) {
		return ps_error_set(err, PS_ETOOBIG,
				    "output \"%s\" needs %zu bytes, the buffer given has %zu",
				    out->name, bytes, out->bytes);
	}
	out->bytes = bytes;
	return PS_OK;
}

static bool all_open(const struct ps_tensor_spec *specs, int n)
{
	for (int i = 0; i < n; i++)
		if (specs[i].rank < 1 || specs[i].dims[0] >= 0)
			return false;
	return n > 0;
}

bool ps_engine_has_batch_axis(const struct ps_engine_describe *d)
{
	return all_open(d->inputs, d->n_inputs) && all_open(d->outputs, d->n_outputs);
}

enum ps_status ps_engine_device(const char *text, int *ret_gpu, struct ps_error *err)
{
	const char *digits = text && strncmp(text, "cuda:", 5) == 0 ? text + 5 : "";
	size_t n = strspn(digits, "0123456789");

	if (!text || strcmp(text, "cpu") == 0) {
		*ret_gpu = -1;
		return PS_OK;
	}
	if (n < 1 || n > 2 || digits[n] != '\0')
		return ps_error_set(err, PS_EINVAL, "\"%s\" is no device: cpu, cuda:0, ...", text);
	*ret_gpu = n == 1 ? digits[0] - '0' : 10 * (digits[0] - '0') + digits[1] - '0';
	return PS_OK;
}

void ps_engine_borrow(const struct ps_engine_lender *l)
{
	if (l)
		l->borrow(l->ctx);
}

void ps_engine_give_back(const struct ps_engine_lender *l)
{
	if (l)
		l->give_back(l->ctx);
}
