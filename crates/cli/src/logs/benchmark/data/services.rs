//! The services whose logs are made up: what they are called and what they say.
//!
//! In a message, `<kind>` stands for something that differs from record to record; see
//! [`super::message`] for the kinds. No message has a long number that stands alone beside others:
//! it could read as the number of a payment card, which is masked on the way in.

/// A service.
pub struct Service {
    /// Its name, `service` of its records.
    pub name: &'static str,
    /// Its loggers; message `i` is of logger `i` modulo their number.
    pub loggers: &'static [&'static str],
    /// Its messages, those that it says most first.
    pub messages: &'static [&'static str],
}

/// All services, the busiest first.
pub const SERVICES: &[Service] = &[
    Service {
        name: "gateway",
        loggers: &["gateway.access", "gateway.upstream", "gateway.limits"],
        messages: &[
            "Forwarded request <uuid> from <ip> to <host>:8443 in <ms> ms, <size> bytes",
            "Upstream <host>:8443 answered 200 after <ms> ms for /api/v2/<noun>/<id>",
            "Connection from <ip>:<port> closed by peer after <count> requests",
            "Rate limiter admitted <user> (<count> of 600 in this window)",
            "Health probe of <host> passed in <ms> ms",
            "Retrying request <uuid> on <host>: connection reset, attempt <digit>",
            "Certificate of <host> is valid for another <count> days",
            "Slow client <ip>: <size> bytes queued for <ms> ms",
        ],
    },
    Service {
        name: "chunkstore",
        loggers: &[
            "chunkstore.Receiver",
            "chunkstore.Replicator",
            "chunkstore.Scrubber",
        ],
        messages: &[
            "Stored chunk chk_<long> of length <seven> sent by /<ip>",
            "Replica <digit> of chunk chk_<long> placed on <host>, volume <digit>",
            "Verified chunk chk_<long>: checksum <hex8> matches",
            "Serving chunk chk_-<long> to /<ip>:<port>",
            "Deleting chunk chk_<long> file /data/vol<digit>/shard<count>/chk_<long>",
            "Volume <digit> has <size> free bytes after compaction of <count> shards",
            "Chunk chk_<long> is under-replicated: <digit> of 3 copies found",
            "Pipeline for chunk chk_<long> broken at <host>, rebuilding with <digit> nodes",
        ],
    },
    Service {
        name: "scheduler",
        loggers: &[
            "scheduler.Dispatcher",
            "scheduler.Executor",
            "scheduler.Lease",
        ],
        messages: &[
            "Task <id>.<digit> of job job_<count>_<seven> started on <host>",
            "Finished task <id>.<digit> in stage <count> in <ms> ms on <host> (executor <count>)",
            "Lease lease-<hex8> renewed until epoch <count>",
            "Running <count> of <count> slots, queue length <count>",
            "Job job_<count>_<seven> moved from WAITING to RUNNING",
            "Container container_<seven>_<count> released <size> bytes of memory",
            "Lost executor <count> on <host>: heartbeat missing for <ms> ms",
        ],
    },
    Service {
        name: "checkout",
        loggers: &["checkout.orders", "checkout.payments", "checkout.carts"],
        messages: &[
            "Order <uuid> placed by <user>: <count> items, total <money> EUR",
            "Cart of <user> updated: added item sku-<hex8>",
            "Payment for order <uuid> authorised by provider after <ms> ms",
            "Order <uuid> moved to state SHIPPED by worker <count>",
            "Stock of sku-<hex8> reserved in warehouse <digit> for <user>",
            "Voucher WINTER<digit> applied to cart of <user>, reduced by <money> EUR",
            "Payment provider refused order <uuid>: limit exceeded for <user>",
        ],
    },
    Service {
        name: "session-server",
        loggers: &["session.login", "session.sweeper"],
        messages: &[
            "Login of <user> from <ip> port <port> accepted",
            "Session opened for <user> by agent <count>",
            "Session closed for <user> after <count> minutes",
            "Login of invalid user <name> from <ip> port <port> refused",
            "Disconnected from <ip> port <port>: too many attempts",
            "Sweeper removed <count> idle sessions in <ms> ms",
        ],
    },
    Service {
        name: "postbox",
        loggers: &["postbox.queue", "postbox.smtp", "postbox.filter"],
        messages: &[
            "Message <hex12> queued for <name>@<noun>.example, size <size>",
            "Message <hex12> delivered to relay <host> in <ms> ms, status sent",
            "Filter scored message <hex12> with <money> points",
            "Greeting from <ip> took <ms> ms",
            "Message <hex12> deferred: mailbox of <name>@<noun>.example is full",
        ],
    },
    Service {
        name: "indexer",
        loggers: &["indexer.merge", "indexer.refresh"],
        messages: &[
            "Refreshed index <noun>-<count> in <ms> ms: <size> documents",
            "Merged <digit> parts of index <noun>-<count> into part <hex8>, <size> bytes",
            "Snapshot snap-<hex12> of index <noun>-<count> uploaded",
            "Rejected document <uuid>: field <noun> is no number",
            "Throttling merges: <count> MB/s, <digit> waiting",
        ],
    },
    Service {
        name: "coordinator",
        loggers: &["coordinator.Election", "coordinator.Watch"],
        messages: &[
            "Accepted watch connection from /<ip>:<port>",
            "Proposal 0x<hex12> committed by <digit> of 5 members",
            "Session 0x<hex12> expired, timeout of <ms> ms exceeded",
            "Follower <host> is <count> proposals behind",
            "Notification time out: <ms>",
        ],
    },
    Service {
        name: "hostd",
        loggers: &["kernel", "hostd.disk", "hostd.net"],
        messages: &[
            "eth<digit>: link up, <count> Mbps, full duplex",
            "process <id> (<name>) used <size> kB of memory, score <count>",
            "nvme<digit>n1: temperature <count> C above threshold",
            "dropped packet from <ip> on port <port>, length <count>",
            "mount of /srv/<noun> took <ms> ms",
        ],
    },
];

/// What an error names at the end of its message.
pub const ERRORS: &[&str] = &[
    "TimeoutError",
    "ConnectionReset",
    "NullReference",
    "ValidationFailed",
    "DeadlockDetected",
    "OutOfMemory",
];

/// Things that services have.
pub const NOUNS: &[&str] = &[
    "orders", "users", "items", "carts", "search", "invoices", "events", "reports",
];

/// First names.
pub const NAMES: &[&str] = &[
    "alice", "bela", "chen", "dora", "emeka", "farid", "greta", "hana", "ivan", "jonas", "kavya",
    "lena", "mateo", "nadia", "oskar", "priya",
];
