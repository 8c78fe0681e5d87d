/* admin_routes_internal.h - what admin.c, admin_load.c, admin_model.c and admin_views.c share.
 * Layer 5. */
#ifndef PS_SERVE_ADMIN_ROUTES_INTERNAL_H
#define PS_SERVE_ADMIN_ROUTES_INTERNAL_H

#include "base/units.h"
#include "oip/admin.h"
#include "serve/admin_state_internal.h"

/* An answer that the observer's thread makes; it fills text and status, and call->err when that is
 * not PS_OK. In the call's arena. */
struct ps_serve_admin_job {
	struct ps_serve_job job;
	struct ps_serve_call *call;
	const char *type; /* of the text; NULL: JSON, or a protobuf message over gRPC */
	enum ps_status status;
	struct ps_strbuf text;
};

struct ps_serve_reload_call {
	struct ps_serve_reload_wait wait;
	struct ps_serve_call *call;
};

/* admin.c */
/* ps_serve_admin_make lets the observer's thread make the answer. */
void ps_serve_admin_make(struct ps_serve_call *c, void (*work)(struct ps_serve_job *job),
			 const char *type);
void ps_serve_admin_answer(struct ps_serve_call *c, struct ps_strbuf *text);
void ps_serve_admin_refuse(struct ps_serve_call *c, enum ps_status status, const char *what);
enum ps_oip_form ps_serve_form(const struct ps_serve_call *c);
/* ps_serve_version_number turns "" into 0 and what is no version into one that is not there. */
int64_t ps_serve_version_number(const char *text);

/* admin_model.c: GET .../config */
void ps_serve_admin_model_config(struct ps_serve_call *c);

/* admin_load.c */
void ps_serve_admin_load(struct ps_serve_call *c, const struct ps_oip_repository_request *request);

/* admin_views.c: works of jobs */
void ps_serve_make_status(struct ps_serve_job *job);
void ps_serve_make_tenants(struct ps_serve_job *job);
void ps_serve_make_bill(struct ps_serve_job *job);

#endif
