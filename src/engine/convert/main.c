/* perseus-convert LIBRARY MODEL OUT - turns a model into ONNX Runtime's own format.
 *
 * Perseus starts this program itself; it is not for people. A process of its own, because
 * conversion needs up to three times the model's size in memory for a moment, and because a
 * hostile file may crash the library's reader. Answers on stdout in one record:
 *
 *	"ok\n"  |  "<status> <1 if only saving failed> <what>\n"
 */
#include "engine/onnxruntime/ort_internal.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE	       15 /* about a thirtieth of a busy CPU: slow, but it ends */
#define IOPRIO_PROCESS 1
#define IOPRIO_LOWEST  ((2 << 13) | 7) /* best effort, level 7 */

/* Whoever is served now goes first, on the CPUs and on the disk. What the system refuses is no
 * reason to give up. */
static void step_back(void)
{
	const struct sched_param none = {0};

	(void)sched_setscheduler(0, SCHED_BATCH, &none);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_LOWEST);
}

int main(int argc, char **argv)
{
	struct ps_ort_api api;
	struct ps_error err;
	bool saving = false;
	enum ps_status st;

	if (argc != 4) {
		fprintf(stderr, "perseus-convert: started by perseus, not by hand\n");
		return ps_status_get(PS_EUSAGE)->exit_code;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would use the result */
	step_back();
	st = ps_ort_load(argv[1], &api, &err);
	if (st == PS_OK)
		st = ps_ort_convert(&api, argv[2], argv[3], &saving, &err);
	if (st == PS_OK)
		printf("ok\n");
	else
		printf("%d %d %s\n", (int)st, saving, err.what);
	fflush(stdout);
	_exit(st == PS_OK ? 0 : 1); /* the library's destructors have nothing left to do */
}
