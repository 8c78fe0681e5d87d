/* What a converted file depends on. Anything missing here would let an old file answer for a new
 * model, so the list is generous: a needless conversion costs a second, once. */
#include "engine/onnxruntime/ort_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Change it whenever the options of conversion or the seal change. */
#define FORMAT "perseus-ort-1 level=all threads=1"

void ps_ort_sha256(const void *data, size_t len, unsigned char ret_hash[PS_ORT_SHA256_SIZE])
{
	unsigned n = PS_ORT_SHA256_SIZE;

	if (!EVP_Digest(data, len, ret_hash, &n, EVP_sha256(), NULL))
		memset(ret_hash, 0, PS_ORT_SHA256_SIZE); /* out of memory: matches no seal */
}

/* The instruction sets decide which layouts the optimiser chooses. */
static void add_cpu(EVP_MD_CTX *md)
{
	char line[8192];
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
			continue;
		EVP_DigestUpdate(md, line, strlen(line));
		break;
	}
	fclose(f);
}

static void add_file_identity(EVP_MD_CTX *md, const char *model, const char *name, size_t len)
{
	const char *slash = strrchr(model, '/');
	int dir_len = slash ? (int)(slash - model) + 1 : 0;
	char path[4096];
	struct stat s;

	snprintf(path, sizeof(path), "%.*s%.*s", dir_len, model, (int)len, name);
	if (stat(path, &s) != 0)
		return;
	EVP_DigestUpdate(md, path, strlen(path));
	EVP_DigestUpdate(md, &s.st_size, sizeof(s.st_size));
	EVP_DigestUpdate(md, &s.st_mtim, sizeof(s.st_mtim));
}

/* Weights kept outside the file are named by entries {key: "location", value: name}. Looking for
 * those bytes may find more than there are, never fewer; a false one only changes the key. */
static void add_external(EVP_MD_CTX *md, const char *model, const unsigned char *data, size_t len)
{
	static const char mark[] = "\x0a\x08location\x12";
	const unsigned char *p = data, *end = data + len;

	while ((p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1))) {
		p += sizeof(mark) - 1;
		if (p < end && p[0] < 128 && p[0] < end - p)
			add_file_identity(md, model, (const char *)p + 1, p[0]);
	}
}

static enum ps_status hash_all(const struct ps_ort_api *api, const char *model, const void *data,
			       size_t len, char ret_key[PS_ORT_KEY_SIZE], struct ps_error *err)
{
	unsigned char hash[PS_ORT_SHA256_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);

	if (ok) {
		EVP_DigestUpdate(md, FORMAT, sizeof(FORMAT));
		EVP_DigestUpdate(md, api->version, strlen(api->version));
		EVP_DigestUpdate(md, api->build_info(), strlen(api->build_info()));
		add_cpu(md);
		add_external(md, model, data, len);
		ok = EVP_DigestUpdate(md, data, len) && EVP_DigestFinal_ex(md, hash, NULL);
	}
	EVP_MD_CTX_free(md);
	if (!ok)
		return ps_error_set(err, PS_ENOMEM, "cannot hash %s", model);
	for (int i = 0; i < PS_ORT_SHA256_SIZE; i++)
		snprintf(ret_key + 2 * i, 3, "%02x", hash[i]);
	return PS_OK;
}

static enum ps_status fail_open(const char *model, int e, struct ps_error *err)
{
	enum ps_status st = ps_error_errno(err, e, "cannot read the model");

	ps_error_where(err, "%s", model);
	return st;
}

enum ps_status ps_ort_key(const struct ps_ort_api *api, const char *model,
			  char ret_key[PS_ORT_KEY_SIZE], struct ps_error *err)
{
	int fd = open(model, O_RDONLY | O_CLOEXEC);
	struct stat s;
	enum ps_status st;
	void *data;

	if (fd < 0)
		return fail_open(model, errno, err);
	if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size == 0) {
		close(fd);
		ps_error_set(err, PS_EPARSE, "the model is %s",
			     S_ISREG(s.st_mode) ? "an empty file" : "no regular file");
		ps_error_where(err, "%s", model);
		return PS_EPARSE;
	}
	data = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return fail_open(model, errno, err);
	st = hash_all(api, model, data, (size_t)s.st_size, ret_key, err);
	munmap(data, (size_t)s.st_size);
	return st;
}
