/* Parameters of a request, wherever they were read from. */
#include "oip/oip_internal.h"

#include <string.h>

static enum ps_status wrong_type(const char *name, const char *want, struct ps_error *err)
{
	return ps_error_set(err, PS_EINVAL, "parameter '%s' must be %s", name, want);
}

/* Values that ask for nothing (an id of 0, false) are what some clients send always. */
static bool asks_for_sequence(const struct ps_oip_parameter *p)
{
	if (strcmp(p->name, "sequence_id") == 0)
		return p->type == PS_OIP_TEXT ? p->text[0] != '\0'
					      : p->type != PS_OIP_INT || p->integer != 0;
	return (strcmp(p->name, "sequence_start") == 0 || strcmp(p->name, "sequence_end") == 0) &&
	       (p->type != PS_OIP_BOOL || p->boolean);
}

/* Those that the protocol reserves and we understand. */
static enum ps_status take_known(struct ps_oip_request *q, const struct ps_oip_parameter *p,
				 bool *ret_keep, struct ps_error *err)
{
	*ret_keep = true;
	if (strcmp(p->name, "binary_data_output") == 0) {
		if (p->type != PS_OIP_BOOL)
			return wrong_type(p->name, "true or false", err);
		q->binary_output = p->boolean;
		*ret_keep = false;
	} else if (strcmp(p->name, "timeout") == 0) {
		if (p->type != PS_OIP_INT || p->integer < 0)
			return wrong_type(p->name, "a number of microseconds", err);
		q->timeout_us = p->integer;
	} else if (strcmp(p->name, "priority") == 0) {
		if (p->type != PS_OIP_INT || p->integer < 0)
			return wrong_type(p->name, "a number from 0 on", err);
		q->priority = (uint64_t)p->integer;
	} else if (asks_for_sequence(p)) {
		return ps_error_set(err, PS_EUNSUPPORTED, "sequences are not supported: '%s'",
				    p->name);
	}
	return PS_OK;
}

enum ps_status ps_oip_add_parameter(struct ps_oip_request *q, const struct ps_oip_parameter *p,
				    struct ps_arena *arena, struct ps_error *err)
{
	bool keep = true;
	enum ps_status s = take_known(q, p, &keep, err);
	if (s != PS_OK || !keep)
		return s;
	if (q->n_parameters == PS_OIP_MAX_PARAMETERS)
		return ps_error_set(err, PS_ETOOBIG, "there are over %d parameters",
				    PS_OIP_MAX_PARAMETERS);
	if (!q->parameters) {
		q->parameters = ps_arena_alloc(arena, PS_OIP_MAX_PARAMETERS * sizeof *p);
		if (!q->parameters)
			return ps_error_set(err, PS_ENOMEM, "no memory for parameters");
	}
	q->parameters[q->n_parameters++] = *p;
	return PS_OK;
}

enum ps_status ps_oip_refuse_shared_memory(const char *name, struct ps_error *err)
{
	if (strncmp(name, "shared_memory_", 14) != 0)
		return PS_OK;
	return ps_error_set(err, PS_EUNSUPPORTED, "tensors in shared memory are not supported");
}

enum ps_status ps_oip_refuse_output_parameter(const char *name, struct ps_error *err)
{
	if (strcmp(name, "classification") != 0)
		return ps_oip_refuse_shared_memory(name, err);
	return ps_error_set(err, PS_EUNSUPPORTED,
			    "the parameter 'classification' of an output is not supported: ask for "
			    "the tensor and take its largest elements");
}
