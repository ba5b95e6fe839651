//! `jetstream { }`.

use super::{Key, Kind, key, missing};

/// `jetstream { }`.
pub const JETSTREAM: &[Key] = &[
    key(&["enabled", "enable"], Kind::Boolean, "streams are kept; default true").not_yet(missing::JETSTREAM),
    key(&["store_dir", "store", "storedir"], Kind::Text, "where").not_yet(missing::JETSTREAM),
    key(&["max_memory_store", "max_mem_store", "max_mem"], Kind::Size, "bytes in memory; default 75% of it")
        .not_yet(missing::JETSTREAM),
    key(&["max_file_store", "max_file"], Kind::Size, "bytes on disk; default 75% of what is free")
        .not_yet(missing::JETSTREAM),
    key(
        &["sync_interval", "sync"],
        Kind::Either("duration or always"),
        "between writes to disk that are waited for; default 2m",
    )
    .not_yet(missing::JETSTREAM),
    key(&["domain"], Kind::Text, "the domain's name").not_yet(missing::JETSTREAM),
    key(&["strict"], Kind::Boolean, "refuse requests with unknown fields; default true")
        .not_yet(missing::JETSTREAM),
    key(&["unique_tag"], Kind::Text, "the tag that keeps replicas apart").not_yet(missing::JETSTREAM),
    key(&["key", "ek", "encryption_key"], Kind::Text, "encrypt what is stored").not_yet(missing::JETSTREAM),
    key(&["prev_key", "prev_ek", "prev_encryption_key"], Kind::Text, "the key before")
        .not_yet(missing::JETSTREAM),
    key(&["cipher"], Kind::Either("chacha, chachapoly or aes"), "how; default chacha")
        .not_yet(missing::JETSTREAM),
    key(&["tpm"], Kind::Block, "keys in a TPM (Windows)").not_yet(missing::JETSTREAM).of(TPM),
    key(
        &["extension_hint"],
        Kind::Either("will_extend or no_extend"),
        "whether other servers extend this domain",
    )
    .not_yet(missing::JETSTREAM),
    key(&["max_outstanding_catchup"], Kind::Size, "bytes under way to replicas that catch up; default 64MB")
        .not_yet(missing::JETSTREAM),
    key(&["max_buffered_msgs"], Kind::Integer, "messages queued for one stream; default 100000")
        .not_yet(missing::JETSTREAM),
    key(&["max_buffered_size"], Kind::Size, "bytes queued for one stream; default 128MB")
        .not_yet(missing::JETSTREAM),
    key(&["request_queue_limit"], Kind::Integer, "requests queued; default 10000")
        .not_yet(missing::JETSTREAM),
    key(&["info_queue_limit"], Kind::Integer, "requests for information queued").not_yet(missing::JETSTREAM),
    key(&["meta_compact"], Kind::Integer, "entries after which the log of streams is compacted")
        .not_yet(missing::JETSTREAM),
    key(&["meta_compact_size"], Kind::Size, "bytes after which it is").not_yet(missing::JETSTREAM),
    key(&["meta_compact_sync"], Kind::Boolean, "wait for it").not_yet(missing::JETSTREAM),
    key(&["max_concurrent_io"], Kind::Integer, "files in use at once, 4 to 8192; default 4096")
        .not_yet(missing::JETSTREAM),
    key(&["limits"], Kind::Block, "limits of streams and consumers")
        .not_yet(missing::JETSTREAM)
        .of(JETSTREAM_LIMITS),
];

/// `limits { }` of `jetstream`.
pub const JETSTREAM_LIMITS: &[Key] = &[
    key(
        &["default_max_consumers"],
        Kind::Integer,
        "consumers of a stream that does not say; default 1000, -1: unlimited",
    )
    .not_yet(missing::JETSTREAM),
    key(&["max_ack_pending"], Kind::Integer, "unacknowledged messages of one consumer")
        .not_yet(missing::JETSTREAM),
    key(&["max_ha_assets"], Kind::Integer, "replicated streams and consumers").not_yet(missing::JETSTREAM),
    key(&["max_request_batch"], Kind::Integer, "messages of one pull request").not_yet(missing::JETSTREAM),
    key(&["duplicate_window"], Kind::Duration, "how long message ids are remembered")
        .not_yet(missing::JETSTREAM),
    key(&["batch"], Kind::Block, "batches that are published").not_yet(missing::JETSTREAM).of(BATCH),
];

/// `batch { }`.
pub const BATCH: &[Key] = &[
    key(&["max_inflight_per_stream"], Kind::Integer, "batches of one stream; default 50")
        .not_yet(missing::JETSTREAM),
    key(&["max_inflight_total"], Kind::Integer, "batches in all; default 1000").not_yet(missing::JETSTREAM),
    key(&["max_msgs"], Kind::Integer, "messages of one batch; default 1000").not_yet(missing::JETSTREAM),
    key(&["timeout"], Kind::Duration, "how long one may take; default 10s").not_yet(missing::JETSTREAM),
];

/// `tpm { }`.
pub const TPM: &[Key] = &[
    key(&["keys_file"], Kind::Text, "the file of keys").not_yet(missing::JETSTREAM),
    key(&["encryption_password"], Kind::Text, "the password of the keys").not_yet(missing::JETSTREAM),
    key(&["srk_password"], Kind::Text, "the password of the storage root key").not_yet(missing::JETSTREAM),
    key(&["pcr"], Kind::Integer, "the register").not_yet(missing::JETSTREAM),
    key(&["cipher"], Kind::Text, "how").not_yet(missing::JETSTREAM),
];
