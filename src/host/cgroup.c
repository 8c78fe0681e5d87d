#include "host/cgroup_internal.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "host/watch_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const controller_names[] = {"memory", "cpuset", "cpu"};
/* as a measurement names them */
static const char *const shown_names[] = {"memory", "cpuset", "cpu_quota"};

/* ---- finding our own group ---- */

/* The path of the line of /proc/self/cgroup for a controller ("" means version 2). */
static bool own_path(const char *text, const char *controller, char ret[PATH_MAX])
{
	char *copy = strdup(text), *save = NULL;
	bool found = false;
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':');
		char *path = names ? strchr(names + 1, ':') : NULL;
		if (!path) {
			continue;
		}
		*path++ = '\0';
		names++;
		char *inner = NULL;
		found = !*controller && !*names;
		for (char *n = strtok_r(names, ",", &inner); n && *controller && !found;
		     n = strtok_r(NULL, ",", &inner)) {
			found = strcmp(n, controller) == 0;
		}
		if (found) {
			(void)snprintf(ret, PATH_MAX, "%s", path);
		}
	}
	free(copy);
	return found;
}

static bool option_listed(const char *options, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = options; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0')) {
			return true;
		}
	}
	return false;
}

/* The mount of a hierarchy: mountinfo lines are "ID PARENT DEV ROOT POINT OPTS... - TYPE SRC
 * SUPEROPTS". */
static bool find_mount(const char *text, const char *controller, char root[PATH_MAX],
		       char point[PATH_MAX])
{
	char *copy = strdup(text), *save = NULL;
	bool found = false;
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		char type[32] = "", super[512] = "";
		char *dash = strstr(line, " - ");
		if (!dash || sscanf(dash, " - %31s %*s %511s", type, super) < 1 ||
		    sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) != 2) {
			continue;
		}
		found = *controller
				? strcmp(type, "cgroup") == 0 && option_listed(super, controller)
				: strcmp(type, "cgroup2") == 0;
	}
	free(copy);
	return found;
}

/* Inside a container the mount shows only a part of the hierarchy, from `root` on. */
static bool join(const char *root, const char *point, const char *path, char ret[PATH_MAX])
{
	size_t n = strlen(root);
	if (strcmp(root, "/") != 0 && strncmp(path, root, n) == 0 &&
	    (path[n] == '/' || path[n] == '\0')) {
		path += n;
	}
	return snprintf(ret, PATH_MAX, "%s%s", point, strcmp(path, "/") == 0 ? "" : path) <
	       PATH_MAX;
}

int ps_host_group_find(const char *cgroup_text, const char *mountinfo_text, const char *controller,
		       bool (*has_v2)(const char *folder, const char *controller),
		       char ret_folder[PATH_MAX])
{
	char path[PATH_MAX], root[PATH_MAX], point[PATH_MAX];
	if (own_path(cgroup_text, "", path) && find_mount(mountinfo_text, "", root, point) &&
	    join(root, point, path, ret_folder) && has_v2(ret_folder, controller)) {
		return 2;
	}
	if (own_path(cgroup_text, controller, path) &&
	    find_mount(mountinfo_text, controller, root, point) &&
	    join(root, point, path, ret_folder)) {
		return 1;
	}
	return 0;
}

/* ---- small files ---- */

static char *slurp(const char *path)
{
	struct ps_strbuf b;
	char part[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ps_strbuf_init(&b);
	while (fd >= 0 && (n = read(fd, part, sizeof(part))) > 0) {
		ps_strbuf_append(&b, part, (size_t)n);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return ps_strbuf_take_data(&b);
}

static int put(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH_MAX) {
		return ENAMETOOLONG;
	}
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		return errno;
	}
	int e = write(fd, text, strlen(text)) < 0 ? errno : 0;
	(void)close(fd);
	return e;
}

static bool lists_controller(const char *folder, const char *controller)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/cgroup.controllers", folder) >= PATH_MAX) {
		return false;
	}
	char *text = slurp(path), *save = NULL;
	bool found = false;
	for (char *n = text ? strtok_r(text, " \n", &save) : NULL; n && !found;
	     n = strtok_r(NULL, " \n", &save)) {
		found = strcmp(n, controller) == 0;
	}
	free(text);
	return found;
}

/* ---- making groups ---- */

static void not_applied(struct ps_host_group *g, const char *doing, int e)
{
	g->applied = false;
	(void)snprintf(g->reason, sizeof(g->reason), "cannot %s: %s", doing, strerror(e));
	if (g->path[0]) {
		(void)rmdir(g->path);
	}
}

/* Groups of programs of ours that were killed: their number is in the name. */
static void sweep(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		char path[PATH_MAX];
		int pid = 0;
		if (sscanf(e->d_name, "perseus-%d", &pid) == 1 && pid > 0 && kill(pid, 0) != 0 &&
		    errno == ESRCH &&
		    snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) < PATH_MAX) {
			(void)rmdir(path);
		}
	}
	if (d) {
		(void)closedir(d);
	}
}

/* A v1 cpuset cannot hold a process before it has memory nodes. Old kernels do not tell which ones
 * are in effect, only which were set. */
static int copy_mems(const char *parent, const char *group)
{
	static const char *const names[] = {"cpuset.effective_mems", "cpuset.mems"};
	int e = ENODATA;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && e == ENODATA; i++) {
		char path[PATH_MAX];
		if (snprintf(path, sizeof(path), "%s/%s", parent, names[i]) >= PATH_MAX) {
			return ENAMETOOLONG;
		}
		char *mems = slurp(path);
		if (mems && mems[0] && mems[0] != '\n') {
			e = put(group, "cpuset.mems", mems);
		}
		free(mems);
	}
	return e;
}

int64_t ps_host_quota_us(double cpus)
{
	return llround(cpus * PS_HOST_PERIOD_US);
}

static int limit_quota(double cpus, const struct ps_host_group *g)
{
	char text[64];
	long long quota = (long long)ps_host_quota_us(cpus);
	if (g->version == 2) {
		(void)snprintf(text, sizeof(text), "%lld %d", quota, PS_HOST_PERIOD_US);
		return put(g->path, "cpu.max", text);
	}
	(void)snprintf(text, sizeof(text), "%d", PS_HOST_PERIOD_US);
	int e = put(g->path, "cpu.cfs_period_us", text);
	(void)snprintf(text, sizeof(text), "%lld", quota);
	return e ? e : put(g->path, "cpu.cfs_quota_us", text);
}

static int limit(const struct ps_host_slice *slice, enum ps_host_controller c, const char *parent,
		 const struct ps_host_group *g)
{
	char text[PS_CPUS_SIZE];
	if (c == PS_HOST_MEMORY) {
		(void)snprintf(text, sizeof(text), "%lld", (long long)slice->memory_bytes);
		return put(g->path, g->version == 2 ? "memory.max" : "memory.limit_in_bytes", text);
	}
	if (c == PS_HOST_QUOTA) {
		return limit_quota(slice->cpu_quota, g);
	}
	int e = put(g->path, "cpuset.cpus", ps_cpus_format(&slice->cpus, text));
	if (e == 0 && g->version == 1) {
		e = copy_mems(parent, g->path);
	}
	return e;
}

/* The group that an earlier controller made below `parent`, if any: in version 2 a process is in
 * one group of the whole hierarchy, so all controllers must share it. */
static const struct ps_host_group *made_before(const struct ps_host_group *groups, int n,
					       const char *parent)
{
	size_t len = strlen(parent);
	for (int i = 0; i < n; i++) {
		if (groups[i].applied && groups[i].version == 2 &&
		    strncmp(groups[i].path, parent, len) == 0 && groups[i].path[len] == '/' &&
		    !strchr(groups[i].path + len + 1, '/')) {
			return &groups[i];
		}
	}
	return NULL;
}

/* Enables the controller for groups below `parent`. Version 2 refuses that to a group with
 * processes in it, such as ours, unless it is the root: then groups are made beside ours, below the
 * one above it, which `parent` names from then on. Returns an errno. */
static int enable_below(char parent[PATH_MAX], const char *controller)
{
	char enable[32];
	(void)snprintf(enable, sizeof(enable), "+%s", controller);
	int e = put(parent, "cgroup.subtree_control", enable);
	char *slash = strrchr(parent, '/');
	if (e != EBUSY || !slash) {
		return e;
	}
	*slash = '\0';
	if (!lists_controller(parent, controller)) {
		*slash = '/';
		return e;
	}
	sweep(parent);
	return put(parent, "cgroup.subtree_control", enable);
}

/* One more controller for a group that an earlier one made. */
static void share(const struct ps_host_slice *slice, enum ps_host_controller c, const char *parent,
		  const struct ps_host_group *before, struct ps_host_group *g)
{
	memcpy(g->path, before->path, sizeof(g->path));
	g->shared = true;
	int e = limit(slice, c, parent, g);
	if (e != 0) {
		g->path[0] = '\0'; /* the other controller still needs it */
		not_applied(g, "set the limit", e);
	} else {
		g->applied = true;
	}
}

static int make_folder(const char *parent, struct ps_host_group *g)
{
	static unsigned number;
	int e = 0;
	if (snprintf(g->path, PATH_MAX, "%s/perseus-%d-%u", parent, (int)getpid(), number++) >=
	    PATH_MAX) {
		e = ENAMETOOLONG;
	} else if (mkdir(g->path, 0755) != 0) {
		e = errno;
	}
	if (e != 0) {
		g->path[0] = '\0';
	}
	return e;
}

static void make_one(const struct ps_host_slice *slice, enum ps_host_controller c,
		     const char *cgroups, const char *mounts, struct ps_host_group *groups)
{
	struct ps_host_group *g = &groups[c];
	char parent[PATH_MAX];
	const char *name = controller_names[c];
	g->version = ps_host_group_find(cgroups, mounts, name, lists_controller, parent);
	if (g->version == 0) {
		(void)snprintf(g->reason, sizeof(g->reason),
			       "this system offers us no %s controller", name);
		return;
	}
	sweep(parent);
	int e = g->version == 2 ? enable_below(parent, name) : 0;
	if (e != 0) {
		not_applied(g, "enable the controller below our own group", e);
		return;
	}
	const struct ps_host_group *before =
		g->version == 2 ? made_before(groups, c, parent) : NULL;
	if (before) {
		share(slice, c, parent, before, g);
		return;
	}
	e = make_folder(parent, g);
	if (e != 0) {
		not_applied(g, "make a group", e);
		return;
	}
	g->applied = true;
	e = limit(slice, c, parent, g);
	if (e != 0) {
		not_applied(g, "set the limit", e);
	}
}

/* `cgroups` and `mounts` are the texts of /proc/self/cgroup and /proc/self/mountinfo, or NULL. */
static void make_all(const struct ps_host_slice *slice, const char *cgroups, const char *mounts,
		     struct ps_host_group groups[PS_HOST_CONTROLLERS])
{
	const bool asked[] = {slice->memory_bytes > 0, ps_cpus_count(&slice->cpus) > 0,
			      slice->cpu_quota > 0};
	for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
		memset(&groups[c], 0, sizeof(groups[c]));
		if (!asked[c]) {
			(void)snprintf(groups[c].reason, sizeof(groups[c].reason), "not asked for");
		} else if (!cgroups || !mounts) {
			(void)snprintf(groups[c].reason, sizeof(groups[c].reason),
				       "the system does not say which groups there are");
		} else {
			make_one(slice, (enum ps_host_controller)c, cgroups, mounts, groups);
		}
	}
}

void ps_host_groups_make(const struct ps_host_slice *slice,
			 struct ps_host_group groups[PS_HOST_CONTROLLERS])
{
	char *cgroups = slurp("/proc/self/cgroup"), *mounts = slurp("/proc/self/mountinfo");
	make_all(slice, cgroups, mounts, groups);
	free(cgroups);
	free(mounts);
}

void ps_host_groups_remove(struct ps_host_group groups[PS_HOST_CONTROLLERS])
{
	for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
		if (groups[c].shared) {
			groups[c].applied = false;
		}
		/* A group stays busy for a moment after its last process was reaped. */
		for (int i = 0; i < 100 && groups[c].applied; i++) {
			if (rmdir(groups[c].path) == 0 || errno != EBUSY) {
				groups[c].applied = false;
			} else {
				(void)ps_clock_sleep_until_ns(ps_clock_now_ns() +
							      10 * PS_NS_PER_MS);
			}
		}
	}
}

int64_t ps_host_group_oom_kills(const struct ps_host_group *g)
{
	char path[PATH_MAX];
	if (!g->applied ||
	    snprintf(path, sizeof(path), "%s/%s", g->path,
		     g->version == 2 ? "memory.events" : "memory.oom_control") >= PATH_MAX) {
		return 0;
	}
	char *text = slurp(path);
	int64_t n = text ? ps_host_number_after(text, "oom_kill ") : 0;
	free(text);
	return n > 0 ? n : 0;
}

json_t *ps_host_groups_json(const struct ps_host_group groups[PS_HOST_CONTROLLERS])
{
	json_t *all = json_object();
	for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
		json_t *o = json_object();
		ps_json_set_bool(o, "applied", groups[c].applied);
		if (groups[c].applied) {
			ps_json_set_int(o, "version", groups[c].version);
			ps_json_set_string(o, "path", groups[c].path);
		} else {
			ps_json_set_string(o, "reason", groups[c].reason);
		}
		(void)json_object_set_new(all, shown_names[c], o);
	}
	return all;
}
