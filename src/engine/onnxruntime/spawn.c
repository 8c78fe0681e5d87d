#include "engine/onnxruntime/ort_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* PERSEUS_CONVERT, then beside the program, then where `make install` puts it. */
static bool find_helper(char path[PATH_MAX])
{
	static const char *const places[] = {"perseus-convert",
					     "../libexec/perseus/perseus-convert"};
	const char *env = getenv("PERSEUS_CONVERT");
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (env && *env && strlen(env) < PATH_MAX) {
		strcpy(path, env);
		return true;
	}
	for (size_t i = 0; n > 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		char copy[PATH_MAX];

		exe[n] = '\0';
		strcpy(copy, exe);
		if (snprintf(path, PATH_MAX, "%s/%s", dirname(copy), places[i]) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static int spawn(const char *helper, char *const argv[], int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(ret_pid, helper, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* Reads until the child closes its end; false when the time is over. */
static bool read_answer(int fd, int64_t timeout_ns, char *buf, size_t size)
{
	int64_t deadline_ns = ps_clock_now_ns() + timeout_ns;
	size_t got = 0;

	while (got + 1 < size) {
		int64_t left_ms =
			(deadline_ns - ps_clock_now_ns() + PS_NS_PER_MS - 1) / PS_NS_PER_MS;
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (left_ms <= 0)
			return false;
		if (poll(&p, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX) <= 0)
			continue;
		n = read(fd, buf + got, size - 1 - got);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0)
			got += (size_t)n;
	}
	buf[got] = '\0';
	return true;
}

static enum ps_status crashed(int wait_status, struct ps_error *err)
{
	if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL)
		return ps_error_set(err, PS_ENOMEM,
				    "the conversion of the model was killed, as the system does "
				    "when memory runs out");
	if (WIFSIGNALED(wait_status))
		return ps_error_set(err, PS_EPARSE,
				    "ONNX Runtime crashed over this model (signal %d)",
				    WTERMSIG(wait_status));
	return ps_error_set(err, PS_EENGINE, "the conversion ended without an answer");
}

static enum ps_status interpret(const char *answer, int wait_status, bool *ret_saving,
				struct ps_error *err)
{
	int status = 0, saving = 0, at = 0;

	if (strcmp(answer, "ok\n") == 0)
		return PS_OK;
	if (sscanf(answer, "%d %d %n", &status, &saving, &at) < 2 || at == 0 || status <= PS_OK ||
	    status >= PS_STATUS_COUNT)
		return crashed(wait_status, err);
	*ret_saving = saving != 0;
	return ps_error_set(err, (enum ps_status)status, "%.*s", (int)strcspn(answer + at, "\n"),
			    answer + at);
}

/* Under the lock, so that no interrupt falls between the look and the start. */
static int spawn_watched(struct ps_ort_converter *c, const char *helper, char *const argv[],
			 int out_fd, pid_t *ret_pid)
{
	int rc = ECANCELED;

	pthread_mutex_lock(&c->lock);
	if (!c->interrupted)
		rc = spawn(helper, argv, out_fd, ret_pid);
	if (rc == 0)
		c->pid = *ret_pid;
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* The number may be another process's once it was waited for: first nobody may kill it any more.
 * Returns whether it was killed by us. */
static bool reap(struct ps_ort_converter *c, pid_t pid, bool kill_it, int *ret_wait_status)
{
	bool interrupted;

	pthread_mutex_lock(&c->lock);
	interrupted = c->interrupted;
	c->pid = 0;
	pthread_mutex_unlock(&c->lock);
	if (kill_it)
		kill(pid, SIGKILL);
	while (waitpid(pid, ret_wait_status, 0) < 0 && errno == EINTR)
		;
	return interrupted;
}

void ps_ort_interrupt(struct ps_ort_converter *c)
{
	pthread_mutex_lock(&c->lock);
	c->interrupted = true;
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	pthread_mutex_unlock(&c->lock);
}

bool ps_ort_is_interrupted(struct ps_ort_converter *c)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = c->interrupted;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

enum ps_status ps_ort_spawn_convert(const struct ps_ort_api *api, struct ps_ort_converter *c,
				    const char *model, const char *out, bool *ret_saving,
				    struct ps_error *err)
{
	char helper[PATH_MAX], answer[4096], limit[PS_UNITS_SIZE];
	char *argv[] = {helper, (char *)(uintptr_t)api->path, (char *)(uintptr_t)model,
			(char *)(uintptr_t)out, NULL};
	int fds[2], rc, wait_status = 0;
	bool in_time, interrupted;
	pid_t pid;

	*ret_saving = true;
	if (!find_helper(helper))
		return ps_error_set(err, PS_ENOTFOUND,
				    "the program perseus-convert is not beside perseus");
	if (pipe2(fds, O_CLOEXEC) != 0)
		return ps_error_errno(err, errno, "cannot make a pipe");
	rc = spawn_watched(c, helper, argv, fds[1], &pid);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		*ret_saving = rc != ECANCELED;
		if (rc == ECANCELED)
			return ps_error_set(err, PS_ECANCELLED, "loading was interrupted");
		return ps_error_errno(err, rc, "cannot start %s", helper);
	}
	*ret_saving = false;
	in_time = read_answer(fds[0], c->timeout_ns, answer, sizeof(answer));
	close(fds[0]);
	interrupted = reap(c, pid, !in_time, &wait_status);
	if (interrupted)
		return ps_error_set(err, PS_ECANCELLED, "loading was interrupted");
	if (!in_time)
		return ps_error_set(
			err, PS_ETIMEOUT,
			"converting the model took longer than %s (convert_timeout), and "
			"was ended",
			ps_units_format_duration(c->timeout_ns, limit));
	return interpret(answer, wait_status, ret_saving, err);
}
