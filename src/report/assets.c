/* assets.c - the files of web/ and the chart library, taken in by the assembler. */
#include "report_internal.h"

#define ASSET(symbol, path)                                                                        \
	__asm__(".section .rodata\n"                                                               \
		".balign 16\n" #symbol "_start:\n"                                                 \
		".incbin \"" path "\"\n" #symbol "_end:\n"                                         \
		".byte 0\n"                                                                        \
		".previous\n");                                                                    \
	extern const char symbol##_start[], symbol##_end[]

ASSET(ps_report_html_file, PS_WEB_DIR "/report.html");
ASSET(ps_report_css_file, PS_WEB_DIR "/report.css");
ASSET(ps_report_money_js_file, PS_WEB_DIR "/money.js");
ASSET(ps_report_figures_js_file, PS_WEB_DIR "/figures.js");
ASSET(ps_report_page_js_file, PS_WEB_DIR "/page.js");
ASSET(ps_report_prices_js_file, PS_WEB_DIR "/prices.js");
ASSET(ps_report_whatif_js_file, PS_WEB_DIR "/whatif.js");
ASSET(ps_report_even_js_file, PS_WEB_DIR "/even.js");
ASSET(ps_report_published_js_file, PS_WEB_DIR "/published.js");
ASSET(ps_report_policies_js_file, PS_WEB_DIR "/policies.js");
ASSET(ps_report_policies_html_file, PS_WEB_DIR "/policies.html");
ASSET(ps_report_js_file, PS_WEB_DIR "/report.js");
ASSET(ps_report_versus_file, PS_WEB_DIR "/versus.html");
ASSET(ps_report_versus_js_file, PS_WEB_DIR "/versus.js");
ASSET(ps_report_chart_file, PS_CHART_JS);

struct ps_report_asset ps_report_asset_get(enum ps_report_asset_name name)
{
	static const struct {
		const char *start, *end;
	} files[] = {
		/* clang-format off */
		[PS_REPORT_TEMPLATE] = {ps_report_html_file_start, ps_report_html_file_end},
		[PS_REPORT_CSS] = {ps_report_css_file_start, ps_report_css_file_end},
		[PS_REPORT_MONEY_JS] = {ps_report_money_js_file_start, ps_report_money_js_file_end},
		[PS_REPORT_FIGURES_JS] = {ps_report_figures_js_file_start, ps_report_figures_js_file_end},
		[PS_REPORT_PAGE_JS] = {ps_report_page_js_file_start, ps_report_page_js_file_end},
		[PS_REPORT_PRICES_JS] = {ps_report_prices_js_file_start, ps_report_prices_js_file_end},
		[PS_REPORT_WHATIF_JS] = {ps_report_whatif_js_file_start, ps_report_whatif_js_file_end},
		[PS_REPORT_EVEN_JS] = {ps_report_even_js_file_start, ps_report_even_js_file_end},
		[PS_REPORT_PUBLISHED_JS] = {ps_report_published_js_file_start, ps_report_published_js_file_end},
		[PS_REPORT_POLICIES_JS] = {ps_report_policies_js_file_start, ps_report_policies_js_file_end},
		[PS_REPORT_POLICIES_TEMPLATE] = {ps_report_policies_html_file_start, ps_report_policies_html_file_end},
		[PS_REPORT_JS] = {ps_report_js_file_start, ps_report_js_file_end},
		[PS_REPORT_CHART_JS] = {ps_report_chart_file_start, ps_report_chart_file_end},
		[PS_REPORT_VERSUS_TEMPLATE] = {ps_report_versus_file_start, ps_report_versus_file_end},
		[PS_REPORT_VERSUS_JS] = {ps_report_versus_js_file_start, ps_report_versus_js_file_end},
		/* clang-format on */
	};

	return (struct ps_report_asset){files[name].start,
					(size_t)(files[name].end - files[name].start)};
}
