/* predict_campaign_internal.h - the campaign that measures what a prediction lacks.   Layer 6. */
#ifndef PS_CLI_PREDICT_CAMPAIGN_INTERNAL_H
#define PS_CLI_PREDICT_CAMPAIGN_INTERNAL_H

#include "cli/predict_data_internal.h"

#include "base/strbuf.h"

struct ps_cli_predict_wanted {
	const char *path, *store; /* of the campaign file, and of the store that it shall fill */
	int64_t batch;
	struct ps_predict_slice slice;
};

/* ps_cli_predict_write_campaign writes a campaign of those models that were asked about and those
 * of the zoo's networks for images that were not measured so, at most 16: profiles and operators,
 * no searches and no pairs. *ret_models is how many; 0: nothing was written, because nothing is
 * missing. *ret_more of the zoo did not fit. A name that stands for another file already gets a
 * number. PS_ETOOBIG: more than 16 were asked about. */
enum ps_status ps_cli_predict_write_campaign(const struct ps_cli_predict_data *d,
					     const struct ps_cli_predict_wanted *w, int *ret_models,
					     int *ret_more, struct ps_error *err);

/* ps_cli_predict_put_quoted appends a text in double quotes, as YAML has them. */
void ps_cli_predict_put_quoted(struct ps_strbuf *out, const char *text);

#endif
