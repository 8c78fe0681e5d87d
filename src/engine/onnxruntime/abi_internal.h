/* abi_internal.h - ONNX Runtime's C table, by slot number. Inside onnxruntime/ only.
 *
 * The library is loaded at run time and its headers are not needed: OrtGetApiBase()->GetApi(v)
 * gives one table of function pointers to which later releases only append. Each row below is
 * (member, slot, return type, arguments); the slots are those of API version 17 and keep their
 * place for ever. Opaque objects are `void`.
 */
#ifndef PS_ENGINE_ORT_ABI_INTERNAL_H
#define PS_ENGINE_ORT_ABI_INTERNAL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PS_ORT_API_VERSION 17 /* release 1.17 */

enum { /* OrtErrorCode */
       PS_ORT_FAIL = 1,
       PS_ORT_INVALID_ARGUMENT = 2,
       PS_ORT_NO_SUCHFILE = 3,
       PS_ORT_NO_MODEL = 4,
       PS_ORT_INVALID_PROTOBUF = 7,
       PS_ORT_NOT_IMPLEMENTED = 9,
       PS_ORT_INVALID_GRAPH = 10,
};
enum { PS_ORT_LOG_WARNING = 2, PS_ORT_LOG_ERROR = 3 };
enum { PS_ORT_OPTIMIZE_NONE = 0, PS_ORT_OPTIMIZE_ALL = 99 };
enum { PS_ORT_ALLOCATOR_DEVICE = 0, PS_ORT_ALLOCATOR_ARENA = 1 };
enum { PS_ORT_MEM_DEFAULT = 0 };
enum { PS_ORT_TYPE_TENSOR = 1 }; /* ONNXType */
enum { PS_ORT_ATTR_INT = 1 };	 /* OrtOpAttrType */

struct ps_ort_status; /* an error of the library; NULL is success */
typedef void (*ps_ort_log_fn)(void *ctx, int severity, const char *category, const char *id,
			      const char *where, const char *message);
typedef void *(*ps_ort_thread_fn)(void *options, void (*work)(void *), void *param);
typedef void (*ps_ort_join_fn)(const void *thread);

#define PS_ORT_S struct ps_ort_status *

/* clang-format off */
#define PS_ORT_SLOTS(X)                                                                            \
	X(create_status, 0, PS_ORT_S, (int code, const char *message))                             \
	X(get_error_code, 1, int, (const struct ps_ort_status *))                                  \
	X(get_error_message, 2, const char *, (const struct ps_ort_status *))                      \
	X(create_session, 7, PS_ORT_S, (void *env, const char *path, void *options, void **))      \
	X(create_session_from_array, 8, PS_ORT_S,                                                  \
	  (void *env, const void *data, size_t len, void *options, void **))                       \
	X(run, 9, PS_ORT_S,                                                                        \
	  (void *session, void *run_options, const char *const *in_names, void *const *in,         \
	   size_t n_in, const char *const *out_names, size_t n_out, void **out))                   \
	X(create_session_options, 10, PS_ORT_S, (void **))                                         \
	X(set_optimized_model_path, 11, PS_ORT_S, (void *options, const char *path))               \
	X(enable_profiling, 14, PS_ORT_S, (void *options, const char *prefix))                     \
	X(set_optimization_level, 23, PS_ORT_S, (void *options, int level))                        \
	X(set_intra_threads, 24, PS_ORT_S, (void *options, int n))                                 \
	X(set_inter_threads, 25, PS_ORT_S, (void *options, int n))                                 \
	X(create_op_domain, 26, PS_ORT_S, (const char *name, void **))                             \
	X(op_domain_add, 27, PS_ORT_S, (void *domain, const void *op))                             \
	X(add_op_domain, 28, PS_ORT_S, (void *options, void *domain))                              \
	X(input_count, 30, PS_ORT_S, (void *session, size_t *))                                    \
	X(output_count, 31, PS_ORT_S, (void *session, size_t *))                                   \
	X(input_type, 33, PS_ORT_S, (void *session, size_t i, void **))                            \
	X(output_type, 34, PS_ORT_S, (void *session, size_t i, void **))                           \
	X(input_name, 36, PS_ORT_S, (void *session, size_t i, void *allocator, char **))           \
	X(output_name, 37, PS_ORT_S, (void *session, size_t i, void *allocator, char **))          \
	X(create_run_options, 39, PS_ORT_S, (void **))                                             \
	X(set_terminate, 46, PS_ORT_S, (void *run_options))                                        \
	X(create_tensor, 48, PS_ORT_S,                                                             \
	  (void *allocator, const int64_t *dims, size_t rank, int dtype, void **))                 \
	X(create_tensor_with_data, 49, PS_ORT_S,                                                   \
	  (const void *memory_info, void *data, size_t len, const int64_t *dims, size_t rank,      \
	   int dtype, void **))                                                                    \
	X(is_tensor, 50, PS_ORT_S, (const void *value, int *))                                     \
	X(tensor_data, 51, PS_ORT_S, (void *value, void **))                                       \
	X(string_bytes, 53, PS_ORT_S, (const void *value, size_t *))                               \
	X(string_content, 54, PS_ORT_S,                                                            \
	  (const void *value, void *bytes, size_t len, size_t *offsets, size_t n))                 \
	X(tensor_info, 55, PS_ORT_S, (const void *type_info, const void **))                       \
	X(onnx_type, 56, PS_ORT_S, (const void *type_info, int *))                                 \
	X(create_shape, 57, PS_ORT_S, (void **))                                                   \
	X(set_element_type, 58, PS_ORT_S, (void *shape, int dtype))                                \
	X(set_dims, 59, PS_ORT_S, (void *shape, const int64_t *, size_t n))                        \
	X(element_type, 60, PS_ORT_S, (const void *tensor_info, int *))                            \
	X(dims_count, 61, PS_ORT_S, (const void *tensor_info, size_t *))                           \
	X(dims, 62, PS_ORT_S, (const void *tensor_info, int64_t *, size_t n))                      \
	X(symbolic_dims, 63, PS_ORT_S, (const void *tensor_info, const char **, size_t n))         \
	X(create_memory_info, 68, PS_ORT_S,                                                        \
	  (const char *name, int allocator, int id, int mem, void **))                             \
	X(value_shape, 65, PS_ORT_S, (const void *value, void **))                                 \
	X(create_cpu_memory_info, 69, PS_ORT_S, (int allocator, int mem, void **))                 \
	X(allocator_free, 76, PS_ORT_S, (void *allocator, void *p))                                \
	X(default_allocator, 78, PS_ORT_S, (void **))                                              \
	X(node_int, 86, PS_ORT_S, (const void *info, const char *name, int64_t *))                 \
	X(node_in_count, 88, PS_ORT_S, (const void *context, size_t *))                            \
	X(node_out_count, 89, PS_ORT_S, (const void *context, size_t *))                           \
	X(node_in, 90, PS_ORT_S, (const void *context, size_t i, const void **value))              \
	X(node_out, 91, PS_ORT_S,                                                                  \
	  (void *context, size_t i, const int64_t *dims, size_t n, void **value))                  \
	X(release_env, 92, void, (void *))                                                         \
	X(release_status, 93, void, (struct ps_ort_status *))                                      \
	X(release_memory_info, 94, void, (void *))                                                 \
	X(release_session, 95, void, (void *))                                                     \
	X(release_value, 96, void, (void *))                                                       \
	X(release_run_options, 97, void, (void *))                                                 \
	X(release_type_info, 98, void, (void *))                                                   \
	X(release_shape, 99, void, (void *))                                                       \
	X(release_session_options, 100, void, (void *))                                            \
	X(release_op_domain, 101, void, (void *))                                                  \
	X(available_providers, 125, PS_ORT_S, (char ***, int *))                                   \
	X(release_providers, 126, PS_ORT_S, (char **, int))                                        \
	X(session_end_profiling, 110, PS_ORT_S, (void *session, void *allocator, char **path))     \
	X(use_global_pool, 120, PS_ORT_S, (void *options))                                         \
	X(create_threading, 121, PS_ORT_S, (void **))                                              \
	X(release_threading, 122, void, (void *))                                                  \
	X(set_config, 130, PS_ORT_S, (void *options, const char *key, const char *value))          \
	X(create_allocator, 131, PS_ORT_S,                                                         \
	  (const void *session, const void *memory_info, void **))                                 \
	X(release_allocator, 132, void, (void *))                                                  \
	X(run_with_binding, 133, PS_ORT_S,                                                         \
	  (void *session, const void *run_options, const void *binding))                           \
	X(create_binding, 134, PS_ORT_S, (void *session, void **))                                 \
	X(release_binding, 135, void, (void *))                                                    \
	X(bind_input, 136, PS_ORT_S, (void *binding, const char *name, const void *value))         \
	X(bind_output, 137, PS_ORT_S, (void *binding, const char *name, const void *value))        \
	X(bind_output_device, 138, PS_ORT_S,                                                       \
	  (void *binding, const char *name, const void *memory_info))                              \
	X(bound_outputs, 140, PS_ORT_S,                                                            \
	  (const void *binding, void *allocator, void ***values, size_t *n))                       \
	X(register_allocator, 144, PS_ORT_S,                                                       \
	  (void *env, const void *memory_info, const void *arena))                                 \
	X(set_pool_intra_threads, 147, PS_ORT_S, (void *threading, int n))                         \
	X(set_pool_inter_threads, 148, PS_ORT_S, (void *threading, int n))                         \
	X(set_pool_spin, 149, PS_ORT_S, (void *threading, int allow))                              \
	X(create_env, 151, PS_ORT_S,                                                               \
	  (ps_ort_log_fn, void *ctx, int severity, const char *id, const void *threading, void **))\
	X(release_arena, 157, void, (void *))                                                      \
	X(create_arena, 164, PS_ORT_S,                                                             \
	  (const char *const *keys, const size_t *values, size_t n, void **))                      \
	X(set_pool_create_thread, 199, PS_ORT_S, (void *threading, ps_ort_thread_fn))              \
	X(set_pool_thread_options, 200, PS_ORT_S, (void *threading, void *options))                \
	X(set_pool_join_thread, 201, PS_ORT_S, (void *threading, ps_ort_join_fn))                  \
	X(append_cuda, 204, PS_ORT_S, (void *options, const void *cuda_options))                   \
	X(create_cuda_options, 205, PS_ORT_S, (void **))                                           \
	X(update_cuda_options, 206, PS_ORT_S,                                                      \
	  (void *, const char *const *keys, const char *const *values, size_t n))                  \
	X(release_cuda_options, 208, void, (void *))                                               \
	X(string_element, 252, PS_ORT_S, (void *value, size_t i, size_t len, char **))             \
	X(build_info, 254, const char *, (void))                                                   \
	X(infer_in, 268, PS_ORT_S, (const void *context, size_t i, void **shape))                  \
	X(infer_attr, 269, PS_ORT_S, (const void *context, const char *name, const void **attr))   \
	X(infer_out, 270, PS_ORT_S, (void *context, size_t i, const void *shape))                  \
	X(set_symbols, 271, PS_ORT_S, (void *shape, const char *const *, size_t n))                \
	X(read_attr, 272, PS_ORT_S,                                                                \
	  (const void *attr, int kind, void *data, size_t len, size_t *))
/* Only where the library is release 1.23 or later; NULL in older ones. */
#define PS_ORT_STATS_VERSION 23
#define PS_ORT_LATE_SLOTS(X)                                                                       \
	X(get_key_value, 297, const char *, (const void *pairs, const char *key))                  \
	X(release_key_values, 300, void, (void *))                                                 \
	X(allocator_stats, 319, PS_ORT_S, (const void *allocator, void **pairs))
/* clang-format on */

struct ps_ort_api {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration has no use for them */
#define PS_ORT_MEMBER(name, slot, ret, args) ret(*name) args;
	PS_ORT_SLOTS(PS_ORT_MEMBER)
	PS_ORT_LATE_SLOTS(PS_ORT_MEMBER)
#undef PS_ORT_MEMBER
	const char *version; /* "1.30.0"; belongs to the library, which stays loaded */
	char path[4096];     /* of the library, as dlopen was given it */
};

/* ps_ort_load finds, loads and checks the library; it stays loaded for the life of the process,
 * because its threads and destructors do not survive dlclose. `option` may be NULL.
 * PS_ENOTFOUND: nowhere. PS_EUNSUPPORTED: release older than 1.17. PS_EENGINE: broken. */
enum ps_status ps_ort_load(const char *option, struct ps_ort_api *ret_api, struct ps_error *err);

/* ps_ort_check turns an error of the library into ours ("doing: message") and releases it; NULL
 * gives PS_OK. */
enum ps_status ps_ort_check(const struct ps_ort_api *api, struct ps_ort_status *status,
			    struct ps_error *err, const char *doing);
/* ps_ort_check_load is the same for loading a model, where a general failure is PS_EPARSE. */
enum ps_status ps_ort_check_load(const struct ps_ort_api *api, struct ps_ort_status *status,
				 struct ps_error *err);

#endif
