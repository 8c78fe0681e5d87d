/* report_verbs_internal.h - perseus report VERB, and what the verbs share.   Layer 6. */
#ifndef PS_CLI_REPORT_VERBS_INTERNAL_H
#define PS_CLI_REPORT_VERBS_INTERNAL_H

#include "cli/cli.h"
#include "report/report.h"

extern const struct ps_cli_command ps_cli_report_cost, ps_cli_report_loads,
	ps_cli_report_break_even, ps_cli_report_bill;

/* A campaign of a store, read, with its answer. */
struct ps_cli_answered {
	struct ps_store_campaign *campaign;
	struct ps_report_answer answer;
};

/* ps_cli_answer_open reads campaign `id` (0: the last one begun) of a store and computes its
 * answer. The errors of ps_store_open and ps_report_build; the caller closes it. */
enum ps_status ps_cli_answer_open(const char *path, int64_t id, struct ps_cli_answered *ret,
				  struct ps_error *err);
/* ps_cli_answer_close frees both; a zeroed one may be passed. */
void ps_cli_answer_close(struct ps_cli_answered *a);

/* PS_CLI_CAMPAIGN is the rows RESULTS.DB and --campaign for an options struct with `char *store`
 * and `int64_t campaign`. */
#define PS_CLI_CAMPAIGN(struct_type, store_help)                                                   \
	{.name = "store",                                                                          \
	 .type = PS_CONF_TEXT,                                                                     \
	 .offset = offsetof(struct_type, store),                                                   \
	 .metavar = "RESULTS.DB",                                                                  \
	 .help = (store_help),                                                                     \
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED},                                          \
	{                                                                                          \
		.name = "campaign", .type = PS_CONF_INT,                                           \
		.offset = offsetof(struct_type, campaign), .metavar = "ID",                        \
		.help = "Which campaign of the store; otherwise the one that started last.",       \
		.min = 1, .max = 0, .letter = 'c',                                                 \
	}

/* PS_CLI_AGAINST is the rows --against and --against-store for one with `int64_t against` and `char
 * *against_store`; PS_CLI_IS_OF_TWO says whether either was given. */
#define PS_CLI_AGAINST(struct_type, against_help)                                                  \
	{.name = "against",                                                                        \
	 .type = PS_CONF_INT,                                                                      \
	 .offset = offsetof(struct_type, against),                                                 \
	 .metavar = "ID",                                                                          \
	 .help = (against_help),                                                                   \
	 .min = 1,                                                                                 \
	 .max = 0},                                                                                \
	{                                                                                          \
		.name = "against-store", .type = PS_CONF_TEXT,                                     \
		.offset = offsetof(struct_type, against_store), .metavar = "FILE",                 \
		.help = "The store of that other campaign, when it is another file; without "      \
			"--against its latest one.",                                               \
	}
#define PS_CLI_IS_OF_TWO(o) ((o)->against > 0 || (o)->against_store)

/* What perseus report is asked of two campaigns. */
struct ps_cli_two {
	const char *store, *against_store; /* NULL: the same file */
	int64_t against;
	const char *html, *csv, *markdown; /* files, or NULL */
	bool json;
};
/* ps_cli_report_two compares `a` with the other campaign and prints what came out. The errors of
 * ps_cli_answer_open, ps_report_agree and of writing. */
enum ps_status ps_cli_report_two(const struct ps_cli_two *q, const struct ps_store_campaign *a,
				 bool *ret_agrees, struct ps_error *err);
/* ps_cli_out_write writes a buffer that may have failed to a file. PS_ENOMEM, and the errors of
 * ps_file_write. */
enum ps_status ps_cli_out_write(const struct ps_strbuf *out, const char *path,
				struct ps_error *err);
/* ps_cli_table_csv writes a table to a file. PS_ENOMEM, and the errors of ps_file_write. */
enum ps_status ps_cli_table_csv(const struct ps_report_table *t, const char *path,
				struct ps_error *err);
/* ps_cli_tables_json prints one object: the campaign, the confidence, and each table by its name.
 */
enum ps_status ps_cli_tables_json(const struct ps_cli_answered *a, const struct ps_report_table *t,
				  size_t len, struct ps_error *err);
/* ps_cli_tables_text prints `lead` ("": nothing) and the tables, as wide as the terminal. */
enum ps_status ps_cli_tables_text(const char *lead, const struct ps_report_table *t, size_t len,
				  struct ps_error *err);
/* ps_cli_out_print prints a buffer that may have failed. PS_ENOMEM, PS_EIO. */
enum ps_status ps_cli_out_print(const struct ps_strbuf *out, struct ps_error *err);

#endif
