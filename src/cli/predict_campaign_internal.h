/* predict_campaign_internal.h - the campaign that measures what a prediction lacks.   Layer 6. */
#ifndef PS_CLI_PREDICT_CAMPAIGN_INTERNAL_H
#define PS_CLI_PREDICT_CAMPAIGN_INTERNAL_H

#include "cli/predict_data_internal.h"

struct ps_cli_predict_wanted {
	const char *path, *store; /* of the campaign file, and of the store that it shall fill */
	int64_t batch;
	struct ps_predict_slice slice;
};

/* ps_cli_predict_write_campaign writes a campaign of the models that were asked about and of the
 * zoo's networks for images that were not measured so, at most 16. *ret_models is how many; 0:
 * nothing was written, because nothing is missing. */
enum ps_status ps_cli_predict_write_campaign(const struct ps_cli_predict_data *d,
					     const struct ps_cli_predict_wanted *w, int *ret_models,
					     struct ps_error *err);

#endif
