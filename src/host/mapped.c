/* Which file a process has mapped: the library that it really loaded, however it was found. */
#include "host/host.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path at the end of a line of /proc/PID/maps, cut out in place; NULL when there is none. */
static char *path_of(char *line)
{
	char *path = strchr(line, '/');
	if (path) {
		path[strcspn(path, "\n")] = '\0';
	}
	return path;
}

char *ps_host_mapped_file(pid_t pid, const char *prefix)
{
	char name[64], *line = NULL, *found = NULL;
	size_t size = 0;
	(void)snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	FILE *f = fopen(name, "re");
	if (!f) {
		return NULL;
	}
	while (!found && getline(&line, &size, f) > 0) {
		const char *path = path_of(line);
		const char *base = path ? strrchr(path, '/') + 1 : NULL;
		if (base && strncmp(base, prefix, strlen(prefix)) == 0) {
			found = strdup(path);
		}
	}
	free(line);
	(void)fclose(f);
	return found;
}
