/* What a converted file depends on. Anything missing here would let an old file answer for a new
 * model, so the list is generous: a needless conversion costs a second, once. */
#include "engine/onnxruntime/ort_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* Change it whenever the options of conversion or the seal change. */
#define FORMAT "perseus-ort-2 level=all threads=1"

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

enum ps_status ps_ort_key(const struct ps_ort_api *api, const char *model,
			  char ret_key[PS_ORT_KEY_SIZE], struct ps_error *err)
{
	unsigned char content[PS_ENGINE_HASH_SIZE], hash[PS_ORT_SHA256_SIZE];
	enum ps_status st = ps_engine_hash(model, content, err);
	EVP_MD_CTX *md;
	bool ok;

	if (st != PS_OK)
		return st;
	md = EVP_MD_CTX_new();
	ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	if (ok) {
		EVP_DigestUpdate(md, FORMAT, sizeof(FORMAT));
		EVP_DigestUpdate(md, api->version, strlen(api->version));
		EVP_DigestUpdate(md, api->build_info(), strlen(api->build_info()));
		add_cpu(md);
		ok = EVP_DigestUpdate(md, content, sizeof(content)) &&
		     EVP_DigestFinal_ex(md, hash, NULL);
	}
	EVP_MD_CTX_free(md);
	if (!ok)
		return ps_error_set(err, PS_ENOMEM, "cannot hash %s", model);
	for (int i = 0; i < PS_ORT_SHA256_SIZE; i++)
		snprintf(ret_key + 2 * i, 3, "%02x", hash[i]);
	return PS_OK;
}
