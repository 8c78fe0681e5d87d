/* pack_internal.h - requests as compact bytes. */
#ifndef PS_STORE_PACK_INTERNAL_H
#define PS_STORE_PACK_INTERNAL_H

#include "base/strbuf.h"
#include "store/store.h"

/* ps_store_pack_requests appends the requests: a version byte, their number, then per request
 * variable-length differences (about 20 bytes). PS_ENOMEM. */
enum ps_status ps_store_pack_requests(const struct ps_store_request *r, size_t n,
				      struct ps_strbuf *out);
/* ps_store_unpack_requests is the inverse; the caller frees *ret. PS_ECORRUPT, PS_ENOMEM. */
enum ps_status ps_store_unpack_requests(const void *data, size_t len, struct ps_store_request **ret,
					size_t *ret_len, struct ps_error *err);

#endif
