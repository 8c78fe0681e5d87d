/* Runs a fuzz target over files and folders: its corpus as an ordinary test. Each file also runs
 * cut at several places, and with single bytes changed, always the same ones. */
#include "fuzz/fuzz.h"

#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE = 1 << 20, CUTS = 16, CHANGES = 64 };

static int n_files;

/* A copy of exactly these bytes, so that a sanitiser sees any step beyond. */
static void run(const char *bytes, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		abort();
	memcpy(copy, bytes, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void run_variants(char *bytes, size_t n)
{
	static const char values[] = {0, 1, '"', (char)0xff, '{', '\n', 0x7f, '9'};
	run(bytes, n);
	for (size_t i = 0; i < CUTS && n > 0; i++)
		run(bytes, i * n / CUTS);
	for (size_t i = 0; i < CHANGES && n > 0; i++) {
		size_t at = i * 2654435761u % n;
		char old = bytes[at];
		bytes[at] = values[i % sizeof values];
		run(bytes, n);
		bytes[at] = old;
	}
}

static int run_file(const char *path)
{
	char *bytes;
	size_t n;
	struct ps_error err;
	if (ps_file_read(path, MAX_FILE, &bytes, &n, &err) != PS_OK) {
		fprintf(stderr, "%s: %s\n", path, err.what);
		return 1;
	}
	run_variants(bytes, n);
	free(bytes);
	n_files++;
	return 0;
}

static int run_path(const char *path)
{
	char inner[4096];
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return run_file(path);
	DIR *dir = opendir(path);
	if (!dir) {
		fprintf(stderr, "cannot read %s\n", path);
		return 1;
	}
	int bad = 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
		bad |= run_path(inner);
	}
	closedir(dir);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0;
	for (int i = 1; i < argc; i++)
		bad |= run_path(argv[i]);
	printf("%d files\n", n_files);
	return bad || n_files == 0;
}
