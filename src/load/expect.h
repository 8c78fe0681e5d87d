/* expect.h - is an answer the one that was expected?   Layer 3, pure. */
#ifndef PS_LOAD_EXPECT_H
#define PS_LOAD_EXPECT_H

#include "base/error.h"
#include "model/model.h"

/* ps_load_expect compares `got` with `want` (rank -1: its shape is not known, only its bytes).
 * Floating-point numbers may differ by tolerance * max(1, |want|), and NaN equals NaN; all else is
 * compared to the bit. PS_EINVAL with the first element that differs and by how much. */
enum ps_status ps_load_expect(const struct ps_tensor *want, const struct ps_tensor *got,
			      double tolerance, struct ps_error *err);

#endif
