/* request_log_internal.h - what writer and reader of a request log share.   Layer 3. */
#ifndef PS_LOAD_REQUEST_LOG_INTERNAL_H
#define PS_LOAD_REQUEST_LOG_INTERNAL_H

#define PS_LOAD_LOG_MAGIC "PSRLOG1\n" /* 8 bytes; the digit is the version */

enum { PS_LOAD_LOG_HEAD, PS_LOAD_LOG_RECORDS, PS_LOAD_LOG_END }; /* kinds of blocks */

enum { /* flags of a record */
       PS_LOAD_LOG_SENT = 1,
       PS_LOAD_LOG_FIRST = 2,
       PS_LOAD_LOG_DONE = 4,
       PS_LOAD_LOG_QUEUE = 8,
       PS_LOAD_LOG_COMPUTE = 16,
       PS_LOAD_LOG_WARMUP = 32,
       PS_LOAD_LOG_SAMPLED = 64,
};

#endif
