/* target.h - one tenant's server as the generator sees it: what to send, what must come back.
 * Layer 3. Owned by the running thread. HTTP/1.1 today; another transport is another target. */
#ifndef PS_LOAD_TARGET_H
#define PS_LOAD_TARGET_H

#include "load/inputs.h"
#include "load/load.h"
#include "net/client.h"
#include "oip/oip.h"

enum { PS_LOAD_REQUEST_HEADERS = 4, PS_LOAD_PATH_SIZE = PS_NET_PATH_SIZE + PS_OIP_PATH_SIZE };

/* One input, ready to be sent any number of times. */
struct ps_load_request {
	struct ps_load_inputs inputs;
	struct ps_oip_message message;
	struct ps_net_header headers[PS_LOAD_REQUEST_HEADERS];
	size_t n_headers;
	void *answer; /* the first answer's bytes, kept when repeats are checked */
	size_t answer_bytes;
};

struct ps_load_target {
	const struct ps_load_tenant *t;
	struct ps_net_address address;
	char host[PS_NET_HOST_SIZE + 8];
	char metadata_path[PS_LOAD_PATH_SIZE], infer_path[PS_LOAD_PATH_SIZE];
	char *authorization; /* NULL without a key */
	struct ps_arena arena;
	struct ps_oip_model_metadata metadata;
	struct ps_load_request *requests;
	size_t request_len;
	/* The JSON part of the last answer that was read in full: as long as the next one is the
	 * same to the byte, and so is the size of what follows, it says the same. */
	void *seen_json;
	size_t seen_json_bytes, seen_bytes;
};

/* ps_load_target_init resolves the URL (may block on a name) and makes the paths. On failure there
 * is nothing to finish. PS_EINVAL, PS_EPARSE, PS_ENOTFOUND, PS_ENOMEM. */
enum ps_status ps_load_target_init(struct ps_load_target *g, const struct ps_load_tenant *t,
				   struct ps_error *err);
void ps_load_target_fini(struct ps_load_target *g);

/* ps_load_target_client makes a client for this server. */
enum ps_status ps_load_target_client(struct ps_load_target *g, struct ps_evloop *loop,
				     struct ps_net_client **ret_client, struct ps_error *err);

/* ps_load_target_fetch runs `loop` until the model's metadata is here. PS_EUNAVAIL, PS_ETIMEOUT,
 * PS_ENOTFOUND, PS_EUNAUTH, PS_EFORBIDDEN, PS_EPARSE: the server's own words are in `err`. */
enum ps_status ps_load_target_fetch(struct ps_load_target *g, struct ps_evloop *loop,
				    struct ps_net_client *client, int64_t timeout_ns,
				    struct ps_error *err);

/* ps_load_target_make_requests makes the distinct inputs and their messages. */
enum ps_status ps_load_target_make_requests(struct ps_load_target *g, uint64_t seed,
					    struct ps_error *err);

/* ps_load_target_judge says how a finished call with request number `index` ended; `err` gets the
 * reason for anything but PS_LOAD_OK. A PS_NET_CANCELLED call must not be passed. */
enum ps_load_outcome ps_load_target_judge(struct ps_load_target *g, size_t index,
					  const struct ps_net_call *call, struct ps_error *err);

#endif
