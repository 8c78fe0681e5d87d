/* arrival_options.h - arrivals as options: the same rows on a command line, in a load file and in a
 * campaign.   Layer 3. Reads trace files, nothing else.
 */
#ifndef PS_LOAD_ARRIVAL_OPTIONS_H
#define PS_LOAD_ARRIVAL_OPTIONS_H

#include "conf/conf.h"
#include "load/arrivals.h"
#include "load/trace.h"

/* What the rows fill. 0 and NULL mean that an option was not given. */
struct ps_load_arrival_options {
	double rate;
	int arrival; /* index into ps_load_arrival_choices; 0: what goes with the other options */
	double cv;
	double burst_ratio, burst_share;
	int64_t burst_length;
	double ramp_to;
	int64_t ramp_over;
	struct ps_conf_texts steps; /* "RATE:TIME", several with commas */
	double swing;
	int64_t period;
	double phase;
	bool even;
	char *trace;
	int trace_format, trace_unit;
	double trace_speed;
	bool trace_loop;
	int64_t trace_from, trace_length;
	char *trace_part; /* "1/3" */
	int trace_split;
	int64_t concurrency;
	int64_t think_time;
	int think;
};

/* Of struct ps_load_arrival_options: one row each, in the order in which help shows them. */
extern const char *const ps_load_arrival_choices[];
/* ps_load_arrival_choice returns the name of what was chosen; "poisson" when nothing was. */
const char *ps_load_arrival_choice(const struct ps_load_arrival_options *o);
extern const char *const ps_load_trace_format_choices[];
extern const char *const ps_load_trace_unit_choices[];
extern const char *const ps_load_trace_split_choices[];
extern const char *const ps_load_think_choices[];

/* S: the struct that the table fills. AT: the way to the options in it, with a point, or nothing.
 */
#define PS_LOAD_RATE_ROW(S, AT)                                                                    \
	{                                                                                          \
		.name = "rate", .type = PS_CONF_RATE, .offset = offsetof(S, AT rate),              \
		.metavar = "RATE", .min = 0, .max = PS_LOAD_MAX_RATE_RPS,                          \
		.help = "Open loop: requests per second, sent when they are due, however slow "    \
			"the "                                                                     \
			"answers are. The mean rate; of a ramp the first one; a trace is brought " \
			"to it "                                                                   \
			"by its speed."                                                            \
	}

#define PS_LOAD_ARRIVAL_ROWS(S, AT)                                                                \
	{.name = "arrival",                                                                        \
	 .heading = "When requests are due",                                                       \
	 .type = PS_CONF_ENUM,                                                                     \
	 .offset = offsetof(S, AT arrival),                                                        \
	 .choices = ps_load_arrival_choices,                                                       \
	 .def = "auto",                                                                            \
	 .help = "When requests are due. auto: poisson, or with a concurrency a closed loop. "     \
		 "offline: no schedule, as fast as they are answered."},                           \
		{.name = "cv",                                                                     \
		 .type = PS_CONF_REAL,                                                             \
		 .offset = offsetof(S, AT cv),                                                     \
		 .min = PS_LOAD_MIN_CV,                                                            \
		 .max = PS_LOAD_MAX_CV,                                                            \
		 .help = "Arrival gamma: standard deviation of the gaps in mean gaps; 1 is "       \
			 "Poisson."},                                                              \
		{.name = "burst-ratio",                                                            \
		 .type = PS_CONF_REAL,                                                             \
		 .offset = offsetof(S, AT burst_ratio),                                            \
		 .min = 1,                                                                         \
		 .max = 1000,                                                                      \
		 .help = "Arrival bursts: rate inside a burst, in mean rates; 4 without it."},     \
		{.name = "burst-share",                                                            \
		 .type = PS_CONF_RATIO,                                                            \
		 .offset = offsetof(S, AT burst_share),                                            \
		 .min = 0.001,                                                                     \
		 .max = 0.999,                                                                     \
		 .help = "Arrival bursts: share of the time that they take up; 20% without it."},  \
		{.name = "burst-length",                                                           \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT burst_length),                                           \
		 .metavar = "TIME",                                                                \
		 .min = 1e6,                                                                       \
		 .max = 3600e9,                                                                    \
		 .help = "Arrival bursts: mean length of one; 1s without it."},                    \
		{.name = "ramp-to",                                                                \
		 .type = PS_CONF_RATE,                                                             \
		 .offset = offsetof(S, AT ramp_to),                                                \
		 .metavar = "RATE",                                                                \
		 .min = 0,                                                                         \
		 .max = PS_LOAD_MAX_RATE_RPS,                                                      \
		 .help = "Arrival ramp: the rate at its end, which then stays."},                  \
		{.name = "ramp-over",                                                              \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT ramp_over),                                              \
		 .metavar = "TIME",                                                                \
		 .min = 1e6,                                                                       \
		 .max = 86400e9,                                                                   \
		 .help = "Arrival ramp: how long it takes, from the start of the warm-up on."},    \
		{.name = "rate-steps",                                                             \
		 .type = PS_CONF_TEXTS,                                                            \
		 .offset = offsetof(S, AT steps),                                                  \
		 .metavar = "RATE:TIME,...",                                                       \
		 .help = "Arrival steps: rates one after the other, such as 10:30s,50:1m,0:5s; "   \
			 "the last one stays."},                                                   \
		{.name = "swing",                                                                  \
		 .type = PS_CONF_RATIO,                                                            \
		 .offset = offsetof(S, AT swing),                                                  \
		 .min = 0,                                                                         \
		 .max = 1,                                                                         \
		 .help = "Arrival sinusoid: the rate swings by so much of its mean."},             \
		{.name = "period",                                                                 \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT period),                                                 \
		 .metavar = "TIME",                                                                \
		 .min = 1e6,                                                                       \
		 .max = 7 * 86400e9,                                                               \
		 .help = "Arrival sinusoid: length of a period; 24h is a day."},                   \
		{.name = "phase",                                                                  \
		 .type = PS_CONF_RATIO,                                                            \
		 .offset = offsetof(S, AT phase),                                                  \
		 .min = 0,                                                                         \
		 .max = 1,                                                                         \
		 .help = "Arrival sinusoid: where in the period it begins; at 0 the rate is the "  \
			 "mean and rises."},                                                       \
		{.name = "even",                                                                   \
		 .type = PS_CONF_BOOL,                                                             \
		 .offset = offsetof(S, AT even),                                                   \
		 .help = "Arrival ramp, steps: even gaps instead of Poisson."},                    \
		{.name = "trace",                                                                  \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT trace),                                                  \
		 .metavar = "FILE",                                                                \
		 .help = "Arrival trace: the recorded arrivals to replay."},                       \
		{.name = "trace-format",                                                           \
		 .type = PS_CONF_ENUM,                                                             \
		 .offset = offsetof(S, AT trace_format),                                           \
		 .choices = ps_load_trace_format_choices,                                          \
		 .def = "auto",                                                                    \
		 .help = "What the file is; auto tells Azure's formats by their first line."},     \
		{.name = "trace-unit",                                                             \
		 .type = PS_CONF_ENUM,                                                             \
		 .offset = offsetof(S, AT trace_unit),                                             \
		 .choices = ps_load_trace_unit_choices,                                            \
		 .def = "own",                                                                     \
		 .help = "Unit of the numbers of gaps and timestamps; their own are us and s."},   \
		{.name = "trace-speed",                                                            \
		 .type = PS_CONF_REAL,                                                             \
		 .offset = offsetof(S, AT trace_speed),                                            \
		 .min = 1e-6,                                                                      \
		 .max = 1e9,                                                                       \
		 .help = "Replay so many times as fast; 1 without it."},                           \
		{.name = "trace-loop",                                                             \
		 .type = PS_CONF_BOOL,                                                             \
		 .offset = offsetof(S, AT trace_loop),                                             \
		 .help = "Begin again when the trace ends; without it a longer run is refused."},  \
		{.name = "trace-from",                                                             \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT trace_from),                                             \
		 .metavar = "TIME",                                                                \
		 .min = 0,                                                                         \
		 .max = 1e17,                                                                      \
		 .help = "Begin so long after the trace's beginning, in its own time."},           \
		{.name = "trace-length",                                                           \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT trace_length),                                           \
		 .metavar = "TIME",                                                                \
		 .min = 0,                                                                         \
		 .max = 1e17,                                                                      \
		 .help = "Take only so much of the trace; 0: to its end."},                        \
		{.name = "trace-part",                                                             \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT trace_part),                                             \
		 .metavar = "I/N",                                                                 \
		 .help = "The I-th of N parts of the trace: with 1/3, 2/3 and 3/3 three tenants "  \
			 "share it."},                                                             \
	{                                                                                          \
		.name = "trace-split", .type = PS_CONF_ENUM,                                       \
		.offset = offsetof(S, AT trace_split), .choices = ps_load_trace_split_choices,     \
		.def = "arrivals",                                                                 \
		.help = "What goes to a part: single arrivals at random, or whole functions."      \
	}

#define PS_LOAD_CLOSED_ROWS(S, AT)                                                                 \
	{.name = "concurrency",                                                                    \
	 .type = PS_CONF_INT,                                                                      \
	 .offset = offsetof(S, AT concurrency),                                                    \
	 .metavar = "N",                                                                           \
	 .min = 0,                                                                                 \
	 .max = PS_LOAD_MAX_CONNECTIONS,                                                           \
	 .help = "Closed loop instead: N users, each asks again when answered. With arrival "      \
		 "offline: N requests always under way."},                                         \
		{.name = "think-time",                                                             \
		 .type = PS_CONF_DURATION,                                                         \
		 .offset = offsetof(S, AT think_time),                                             \
		 .metavar = "TIME",                                                                \
		 .min = 0,                                                                         \
		 .max = 3600e9,                                                                    \
		 .help = "How long a user of a closed loop waits on average before asking "        \
			 "again."},                                                                \
	{                                                                                          \
		.name = "think", .type = PS_CONF_ENUM, .offset = offsetof(S, AT think),            \
		.choices = ps_load_think_choices, .def = "exponential",                            \
		.help = "How the think time is spread."                                            \
	}

/* ps_load_arrival_from_options makes a spec: which of the options belong together is checked here
 * (PS_EUSAGE, `where` empty), what they amount to by ps_load_arrival_check. An option that would
 * have no effect is refused. A trace's path is relative to `base_dir` (NULL: as it is); it is read
 * into `traces`, with `seed`. A `rate` with a trace sets its speed. *ret_spec borrows from `traces`
 * and owns its steps: ps_load_arrival_release. As ps_load_traces_get. */
enum ps_status ps_load_arrival_from_options(const struct ps_load_arrival_options *o,
					    const char *base_dir, uint64_t seed,
					    struct ps_load_traces *traces,
					    struct ps_load_arrival_spec *ret_spec,
					    struct ps_error *err);
/* ps_load_arrival_release frees what from_options made. A zeroed spec is fine. */
void ps_load_arrival_release(struct ps_load_arrival_spec *spec);
/* ps_load_think_from_options reads the think time. */
struct ps_load_think ps_load_think_from_options(const struct ps_load_arrival_options *o);

/* ps_load_steps_parse reads "10:30s,50/s:1m" items into a new array, which the caller frees.
 * PS_EUSAGE with the item in `what`, PS_ENOMEM. */
enum ps_status ps_load_steps_parse(const struct ps_conf_texts *texts,
				   struct ps_load_step **ret_steps, size_t *ret_len,
				   struct ps_error *err);
/* ps_load_part_parse reads "2/3" as part 1 of 3. PS_EUSAGE. */
enum ps_status ps_load_part_parse(const char *text, int *ret_part, int *ret_parts,
				  struct ps_error *err);

#endif
