/*
 * The request streams: their names, the ids of their entries, appending and deleting. See src/bridge/PROTOCOL.md.
 */
#ifndef VSTORE_STREAMS_H
#define VSTORE_STREAMS_H

#include "commands/command_table.h"
#include "module_api.h"

/* A request in a stream of Redis: together they are its identity. */
typedef struct {
    RedisModuleString *stream;
    RedisModuleStreamID id;
} RequestId;

/* A request of a client, or of a followed key, to the sidecar. */
typedef struct {
    const VstoreCommand *command;
    RedisModuleString **arguments; /* without the command's name */
    int count;
    unsigned long long client; /* the id of the client that waits for the answer; 0: none waits */
    RedisModuleString *user;   /* of a read whose client waits: its user; NULL otherwise */
    bool no_wait;              /* the client could wait, and has asked for the entry's id instead */
    bool is_proven;            /* its caller may end values of the cache, and the entry proves that the module has checked it */
    bool is_local;             /* a read that must change no key: see read_queue.h */
    bool is_on_replica;        /* what it reads is as far as the sidecar there is */
    RedisModuleString *log;    /* of the collection that it names; NULL where it names none */
    bool has_log;              /* that is there */
} Request;

/* Sets the log of a client's request, once for all that is asked of it. The caller frees it. */
void stream_find_log(RedisModuleCtx *ctx, Request *request);

/* The stream that carries a client's request. The caller frees it. */
RedisModuleString *stream_of_request(RedisModuleCtx *ctx, const Request *request);

/* The tag that all keys of the collection share, and then `ending`. The caller frees it. */
RedisModuleString *stream_tag_with(RedisModuleString *collection, const char *ending);

/* The write-ahead log of the collection, whether it exists or not. The caller frees it. */
RedisModuleString *stream_of_log(RedisModuleCtx *ctx, RedisModuleString *collection);

/* The key that is there while the collection has its vectors in parts, see PROTOCOL.md. The caller frees it. */
RedisModuleString *stream_mark_of_parts(RedisModuleCtx *ctx, RedisModuleString *collection);

/* The id of the log's last entry, or NULL where there is none. The caller frees it. */
RedisModuleString *stream_end_of_log(RedisModuleCtx *ctx, RedisModuleString *log);

/*
 * Appends a request to `entry->stream` and sets `entry->id`; a write is also propagated. Returns NULL, or the error to
 * reply when nothing was appended.
 */
const char *stream_append(RedisModuleCtx *ctx, RequestId *entry, const Request *request);

/* The same under `entry->id`, which was given before, unless the stream is ahead of it. */
const char *stream_append_as(RedisModuleCtx *ctx, RequestId *entry, const Request *request);

RedisModuleStreamID stream_next_id(void);

/* vstore:queries. The caller frees it. */
RedisModuleString *stream_of_reads(RedisModuleCtx *ctx);

/*
 * Makes the entry that a read would have in vstore:queries, in no stream: its identity, whose stream the caller frees,
 * and its fields, for which there is room (those of the arguments and four more). Returns how many strings they are.
 */
int stream_entry_of_read(RedisModuleCtx *ctx, RequestId *entry, RedisModuleString **fields, const Request *request);

/* Whether the stream is there, and the entry in it. */
bool stream_has(RedisModuleCtx *ctx, const RequestId *request);

/* Deletes the entry of a read, here only: replicas and the AOF never heard of it. */
void stream_delete(RedisModuleCtx *ctx, const RequestId *request);

/* Deletes the entry of a request without a waiting client, if it is one of ours and a read. */
void stream_delete_unknown(RedisModuleCtx *ctx, const RequestId *request);

/* Frees the strings that were kept for later entries. */
void streams_close(void);

#endif
