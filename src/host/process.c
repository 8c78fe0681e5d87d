#include "host/cgroup_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_READY_LINE (1u << 20)
#define LOG_TAIL       240

struct ps_host_process {
	pid_t pid;
	int pidfd;
	int ready_fd; /* read end; -1 after the line was read */
	bool ended;
	int wait_status;
	char *log_path;
	struct ps_host_slice slice;
	struct ps_cpus applied_cpus;
	bool has_slice;
	int nice;
	struct ps_host_group groups[PS_HOST_CONTROLLERS];
};

/* What the child says when it cannot become the program. */
struct child_failure {
	char step[32];
	int e;
};

struct child_plan {
	const struct ps_host_start *how;
	cpu_set_t cpus;
	bool set_cpus;
	int group_fds[PS_HOST_CONTROLLERS];
	int ready_fd, failure_fd, log_fd;
	pid_t parent;
};

static void child_fail(const struct child_plan *c, const char *step)
{
	struct child_failure f = {.e = errno};
	strncpy(f.step, step, sizeof(f.step) - 1);
	ssize_t n = write(c->failure_fd, &f, sizeof(f));
	(void)n;
	_exit(127);
}

/* A descriptor that we still need must not lie where the ready pipe will be put. */
static int move_away(int fd)
{
	return fd == PS_HOST_READY_FD ? fcntl(fd, F_DUPFD_CLOEXEC, PS_HOST_READY_FD + 1) : fd;
}

static void child_descriptors(struct child_plan *c)
{
	c->failure_fd = move_away(c->failure_fd);
	c->log_fd = move_away(c->log_fd);
	c->ready_fd = move_away(c->ready_fd); /* dup2 to itself would keep close-on-exec */
	if (dup2(c->ready_fd, PS_HOST_READY_FD) < 0) {
		child_fail(c, "pass the ready pipe");
	}
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd >= 0) {
		(void)dup2(null_fd, STDIN_FILENO);
	}
	if (c->log_fd >= 0) {
		(void)dup2(c->log_fd, STDOUT_FILENO);
		(void)dup2(c->log_fd, STDERR_FILENO);
	}
}

/* Between fork and exec: only calls that are safe there. */
static void child_run(struct child_plan *c)
{
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	/* A group of its own: Ctrl-C at the terminal reaches us, and we stop it in order. */
	(void)setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
		child_fail(c, "tie it to its parent");
	}
	if (getppid() != c->parent) {
		_exit(127);
	}
	for (int i = 0; i < PS_HOST_CONTROLLERS; i++) {
		if (c->group_fds[i] >= 0 && write(c->group_fds[i], "0", 1) != 1) {
			child_fail(c, "enter its control group");
		}
	}
	if (c->set_cpus && sched_setaffinity(0, sizeof(c->cpus), &c->cpus) != 0) {
		child_fail(c, "bind it to its CPUs");
	}
	if (c->how->nice != 0) {
		(void)!nice(c->how->nice);
	}
	child_descriptors(c);
	(void)execv(c->how->argv[0], (char *const *)c->how->argv);
	child_fail(c, "execute it");
}

static int open_group(struct ps_host_group *g)
{
	char path[PATH_MAX + 16];
	if (!g->applied) {
		return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", g->path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		(void)snprintf(g->reason, sizeof(g->reason), "cannot enter the group: %s",
			       strerror(errno));
		(void)rmdir(g->path);
		g->applied = false;
	}
	return fd;
}

static enum ps_status prepare_cpus(struct ps_host_process *p, struct child_plan *c,
				   struct ps_error *err)
{
	struct ps_cpus allowed = ps_host_cpus_allowed();
	char want[PS_CPUS_SIZE], have[PS_CPUS_SIZE];
	CPU_ZERO(&c->cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE && cpu < PS_CPUS_MAX; cpu++) {
		if (ps_cpus_has(&p->slice.cpus, cpu)) {
			if (!ps_cpus_has(&allowed, cpu)) {
				ps_error_set(err, PS_EINVAL, "this machine has no CPU %d for us",
					     cpu);
				ps_error_where(err, "slice cpus %s",
					       ps_cpus_format(&p->slice.cpus, want));
				ps_error_hint(err, "CPUs that may be used here: %s",
					      ps_cpus_format(&allowed, have));
				return PS_EINVAL;
			}
			CPU_SET(cpu, &c->cpus);
			c->set_cpus = true;
		}
	}
	p->applied_cpus = c->set_cpus ? p->slice.cpus : allowed;
	return PS_OK;
}

static enum ps_status check_quota(const struct ps_host_slice *slice,
				  const struct ps_host_group *groups, struct ps_error *err)
{
	const struct ps_host_group *g = &groups[PS_HOST_QUOTA];
	if (!(slice->cpu_quota > 0) || g->applied) {
		return PS_OK;
	}
	ps_error_set(err, PS_EUNSUPPORTED, "the slice's CPU quota cannot be applied: %s",
		     g->reason);
	ps_error_where(err, "slice cpu quota %g", slice->cpu_quota);
	ps_error_hint(err, "name whole CPUs instead of a quota, or run where a CPU controller is "
			   "delegated to this program");
	return PS_EUNSUPPORTED;
}

enum ps_status ps_host_quota_check(double cpus, struct ps_error *err)
{
	const struct ps_host_slice quota = {.cpu_quota = cpus};
	struct ps_host_group groups[PS_HOST_CONTROLLERS];
	ps_host_groups_make(&quota, groups);
	enum ps_status st = check_quota(&quota, groups, err);
	ps_host_groups_remove(groups);
	return st;
}

/* Reads what the child says, if anything; its end of the pipe closes when exec succeeds. */
static enum ps_status await_exec(struct ps_host_process *p, const char *program, int fd,
				 struct ps_error *err)
{
	struct child_failure f;
	ssize_t n;
	do {
		n = read(fd, &f, sizeof(f));
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		return PS_OK;
	}
	(void)waitpid(p->pid, &p->wait_status, 0);
	p->ended = true;
	if (n != (ssize_t)sizeof(f)) {
		return ps_error_set(err, PS_EIO, "the process ended before it began");
	}
	f.step[sizeof(f.step) - 1] = '\0';
	ps_error_errno(err, f.e, "cannot start the process (%s)", f.step);
	ps_error_where(err, "%s", program);
	return ps_status_from_errno(f.e);
}

static void close_all(int *fds, int n)
{
	for (int i = 0; i < n; i++) {
		if (fds[i] >= 0) {
			(void)close(fds[i]);
		}
	}
}

static enum ps_status spawn(struct ps_host_process *p, const struct ps_host_start *how,
			    struct child_plan *c, struct ps_error *err)
{
	int ready[2] = {-1, -1}, failure[2] = {-1, -1};
	if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(failure, O_CLOEXEC) != 0) {
		int e = errno;
		close_all(ready, 2);
		return ps_error_errno(err, e, "cannot make a pipe");
	}
	c->ready_fd = ready[1];
	c->failure_fd = failure[1];
	c->parent = getpid();
	p->pid = fork();
	if (p->pid == 0) {
		child_run(c);
	}
	int e = errno;
	(void)close(ready[1]);
	(void)close(failure[1]);
	enum ps_status st = p->pid < 0 ? ps_error_errno(err, e, "cannot fork")
				       : await_exec(p, how->argv[0], failure[0], err);
	(void)close(failure[0]);
	if (st != PS_OK) {
		(void)close(ready[0]);
		return st;
	}
	p->ready_fd = ready[0];
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	return PS_OK;
}

static void release(struct ps_host_process *p)
{
	ps_host_groups_remove(p->groups);
	int fds[] = {p->ready_fd, p->pidfd};
	close_all(fds, 2);
	free(p->log_path);
	free(p);
}

_Static_assert(PS_HOST_CONTROLLERS == 3, "ps_host_start begins with no group open");

enum ps_status ps_host_start(const struct ps_host_start *how, struct ps_host_process **ret_process,
			     struct ps_error *err)
{
	struct ps_host_process *p = calloc(1, sizeof(*p));
	struct child_plan c = {.how = how, .group_fds = {-1, -1, -1}, .log_fd = -1};
	if (!p || (how->log_path && !(p->log_path = strdup(how->log_path)))) {
		free(p);
		return ps_error_set(err, PS_ENOMEM, "no memory for a process");
	}
	p->pidfd = p->ready_fd = -1;
	p->nice = how->nice;
	p->has_slice = how->slice != NULL;
	if (how->slice) {
		p->slice = *how->slice;
	}
	enum ps_status st = prepare_cpus(p, &c, err);
	if (st == PS_OK && (p->slice.cpu_quota < 0 || isnan(p->slice.cpu_quota) ||
			    p->slice.cpu_quota > PS_CPUS_MAX)) {
		st = ps_error_set(err, PS_EINVAL, "a CPU quota of %g CPUs", p->slice.cpu_quota);
	}
	if (st == PS_OK && how->log_path) {
		c.log_fd = open(how->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (c.log_fd < 0) {
			st = ps_error_errno(err, errno, "cannot write the log of the process");
			ps_error_where(err, "%s", how->log_path);
		}
	}
	if (st == PS_OK && how->slice) {
		ps_host_groups_make(how->slice, p->groups);
		for (int i = 0; i < PS_HOST_CONTROLLERS; i++) {
			c.group_fds[i] = open_group(&p->groups[i]);
		}
		st = check_quota(&p->slice, p->groups, err);
	}
	if (st == PS_OK) {
		st = spawn(p, how, &c, err);
	}
	close_all(c.group_fds, PS_HOST_CONTROLLERS);
	close_all(&c.log_fd, 1);
	if (st != PS_OK) {
		release(p);
		return st;
	}
	*ret_process = p;
	return PS_OK;
}

pid_t ps_host_pid(const struct ps_host_process *p)
{
	return p->pid;
}

bool ps_host_memory_limited(const struct ps_host_process *p)
{
	return p->groups[PS_HOST_MEMORY].applied;
}

/* ---- how it is going ---- */

/* The last bytes of the log, on one line: what the program said before it ended. */
static void log_tail(const char *path, char buf[LOG_TAIL])
{
	buf[0] = '\0';
	FILE *f = path ? fopen(path, "re") : NULL;
	if (!f) {
		return;
	}
	if (fseek(f, -(long)(LOG_TAIL - 1), SEEK_END) != 0) {
		(void)fseek(f, 0, SEEK_SET);
	}
	size_t n = fread(buf, 1, LOG_TAIL - 1, f);
	(void)fclose(f);
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' ')) {
		n--;
	}
	buf[n] = '\0';
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || buf[i] == '\t') {
			buf[i] = ' ';
		}
	}
}

static enum ps_status ended(const struct ps_host_process *p, struct ps_error *err)
{
	char tail[LOG_TAIL];
	log_tail(p->log_path, tail);
	const char *sep = tail[0] ? ": " : "";
	/* the group was made for this process: a kill in it was of it, or of a child it lived on */
	if (WIFSIGNALED(p->wait_status) && WTERMSIG(p->wait_status) == SIGKILL &&
	    ps_host_group_oom_kills(&p->groups[PS_HOST_MEMORY]) > 0) {
		return ps_error_set(err, PS_EUNAVAIL,
				    "the process was killed by the kernel: it needed more than the "
				    "%lld MiB of memory of its slice (signal 9)%s%s",
				    (long long)(p->slice.memory_bytes >> 20), sep, tail);
	}
	if (WIFSIGNALED(p->wait_status)) {
		return ps_error_set(err, PS_EUNAVAIL, "the process was ended by signal %d (%s)%s%s",
				    WTERMSIG(p->wait_status), strsignal(WTERMSIG(p->wait_status)),
				    sep, tail);
	}
	return ps_error_set(err, PS_EUNAVAIL, "the process ended with exit code %d%s%s",
			    WEXITSTATUS(p->wait_status), sep, tail);
}

static bool reap(struct ps_host_process *p, int flags)
{
	pid_t got = 0;
	while (!p->ended && (got = waitpid(p->pid, &p->wait_status, flags)) < 0 && errno == EINTR) {
	}
	if (got < 0 && errno == ECHILD && !p->ended) {
		/* Somebody ignores SIGCHLD for us: the child is gone and its status with it. */
		p->ended = true;
		p->wait_status = 0;
	}
	p->ended = p->ended || got == p->pid;
	return p->ended;
}

enum ps_status ps_host_check(struct ps_host_process *p, struct ps_error *err)
{
	return reap(p, WNOHANG) ? ended(p, err) : PS_OK;
}

static int left_ms(int64_t deadline_ns)
{
	int64_t left = deadline_ns - ps_clock_now_ns();
	return left <= 0 ? 0 : (int)((left + PS_NS_PER_MS - 1) / PS_NS_PER_MS);
}

enum ps_status ps_host_wait_ready(struct ps_host_process *p, int64_t timeout_ns, char **ret_line,
				  struct ps_error *err)
{
	int64_t deadline = ps_clock_now_ns() + timeout_ns;
	struct ps_strbuf line;
	char part[4096];
	ps_strbuf_init(&line);
	while (!memchr(line.data, '\n', line.len) && line.len < MAX_READY_LINE) {
		struct pollfd fd = {.fd = p->ready_fd, .events = POLLIN};
		int rc = poll(&fd, 1, left_ms(deadline));
		ssize_t n = rc > 0 ? read(p->ready_fd, part, sizeof(part)) : -1;
		if (rc == 0) {
			ps_strbuf_fini(&line);
			return ps_error_set(err, PS_ETIMEOUT,
					    "the process was not ready after %.1f s",
					    (double)timeout_ns / 1e9);
		}
		if (n == 0) {
			ps_strbuf_fini(&line);
			(void)reap(p, 0);
			return ended(p, err);
		}
		if (n > 0) {
			ps_strbuf_append(&line, part, (size_t)n);
		} else if (errno != EINTR) {
			ps_strbuf_fini(&line);
			return ps_error_errno(err, errno, "cannot read the ready line");
		}
	}
	(void)close(p->ready_fd);
	p->ready_fd = -1;
	char *text = ps_strbuf_take_data(&line);
	if (!text) {
		return ps_error_set(err, PS_ENOMEM, "no memory for the ready line");
	}
	text[strcspn(text, "\n")] = '\0';
	*ret_line = text;
	return PS_OK;
}

json_t *ps_host_slice_json(const struct ps_host_process *p)
{
	char text[PS_CPUS_SIZE];
	json_t *o = json_object(), *cpus = json_object(), *memory = json_object();
	ps_json_set_string(cpus, "asked",
			   p->has_slice ? ps_cpus_format(&p->slice.cpus, text) : NULL);
	ps_json_set_string(cpus, "applied", ps_cpus_format(&p->applied_cpus, text));
	ps_json_set_string(cpus, "by", "affinity");
	ps_json_set_int(cpus, "count", ps_cpus_count(&p->applied_cpus));
	(void)json_object_set_new(o, "cpus", cpus);
	ps_json_set_int(memory, "asked_bytes", p->slice.memory_bytes);
	ps_json_set_int(memory, "applied_bytes",
			p->groups[PS_HOST_MEMORY].applied ? p->slice.memory_bytes : 0);
	ps_json_set_string(memory, "by",
			   p->groups[PS_HOST_MEMORY].applied ? "control group"
			   : p->slice.memory_bytes > 0	     ? "watching"
							     : NULL);
	(void)json_object_set_new(o, "memory", memory);
	ps_json_set_real(o, "cpu_quota", p->slice.cpu_quota > 0 ? p->slice.cpu_quota : NAN);
	if (p->has_slice) {
		(void)json_object_set_new(o, "cgroups", ps_host_groups_json(p->groups));
	}
	ps_json_set_int(o, "nice", p->nice);
	return o;
}

static bool wait_end(struct ps_host_process *p, int64_t timeout_ns)
{
	int64_t deadline = ps_clock_now_ns() + timeout_ns;
	while (!reap(p, WNOHANG)) {
		int left = left_ms(deadline);
		struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};
		if (left == 0) {
			return false;
		}
		/* Without pidfd_open (Linux before 5.3) a negative descriptor is only a pause. */
		(void)poll(&fd, 1, p->pidfd >= 0 || left < 10 ? left : 10);
	}
	return true;
}

enum ps_status ps_host_stop(struct ps_host_process *p, int64_t timeout_ns, struct ps_error *err)
{
	if (!p) {
		return PS_OK;
	}
	bool was_over = reap(p, WNOHANG);
	enum ps_status st = PS_OK;
	if (!was_over) {
		(void)kill(p->pid, SIGTERM);
		if (!wait_end(p, timeout_ns)) {
			(void)kill(p->pid, SIGKILL);
			(void)reap(p, 0);
			st = ps_error_set(err, PS_EUNAVAIL,
					  "the process did not end within %.1f s and was killed",
					  (double)timeout_ns / 1e9);
		}
	}
	if (st == PS_OK && !(WIFEXITED(p->wait_status) && WEXITSTATUS(p->wait_status) == 0)) {
		st = ended(p, err);
	}
	release(p);
	return st;
}
