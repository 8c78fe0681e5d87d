#include "engine/onnxruntime/ort_internal.h"
#include "engine/onnxruntime/recurrent_internal.h"

#include <stdio.h>
#include <unistd.h>

static enum ps_status convert_options(const struct ps_ort_api *a, void *domain, const char *out,
				      void **ret_options, struct ps_error *err)
{
	struct ps_ort_status *s = a->create_session_options(ret_options);

	if (!s)
		s = a->set_optimization_level(*ret_options, PS_ORT_OPTIMIZE_ALL);
	if (!s)
		s = a->set_intra_threads(*ret_options, 1);
	if (!s && out)
		s = a->set_config(*ret_options, "session.save_model_format", "ORT");
	if (!s && out)
		s = a->set_optimized_model_path(*ret_options, out);
	enum ps_status st = ps_ort_check(a, s, err, "cannot set options of the conversion");
	if (st == PS_OK) /* of a model whose recurrent layers were taken out */
		st = ps_ort_check(a, a->add_op_domain(*ret_options, domain), err,
				  "cannot register an operator");
	return st;
}

static enum ps_status load(const struct ps_ort_api *a, void *env, const char *model,
			   const char *out, struct ps_error *err)
{
	void *options = NULL, *session = NULL, *domain = NULL;
	enum ps_status st = ps_ort_rnn_blind(a, &domain, err);

	if (st == PS_OK)
		st = convert_options(a, domain, out, &options, err);

	if (st == PS_OK)
		st = ps_ort_check_load(a, a->create_session(env, model, options, &session), err);
	if (session)
		a->release_session(session);
	if (options)
		a->release_session_options(options);
	if (domain)
		a->release_op_domain(domain);
	return st;
}

static void no_log(void *ctx, int severity, const char *category, const char *id, const char *where,
		   const char *message)
{
	(void)ctx;
	(void)severity;
	(void)category;
	(void)id;
	(void)where;
	(void)message;
}

enum ps_status ps_ort_convert(const struct ps_ort_api *a, const char *model, const char *out,
			      bool *ret_saving, struct ps_error *err)
{
	void *threading = NULL, *env = NULL;
	struct ps_ort_status *s = a->create_threading(&threading);
	enum ps_status st;

	if (!s)
		s = a->set_pool_intra_threads(threading, 1);
	if (!s)
		s = a->create_env(no_log, NULL, PS_ORT_LOG_ERROR, "convert", threading, &env);
	st = ps_ort_check(a, s, err, "cannot start ONNX Runtime");
	if (st == PS_OK) {
		st = load(a, env, model, out, err);
		/* The library does not say which half failed: does it load without saving? */
		*ret_saving = st != PS_OK && load(a, env, model, NULL, NULL) == PS_OK;
	}
	if (env)
		a->release_env(env);
	if (threading)
		a->release_threading(threading);
	return st;
}
