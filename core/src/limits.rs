//! Every capacity and bound of the program, each with its reason.
//!
//! A bound that two modules share stands here or nowhere. The const assertions at the end hold
//! the ones that depend on each other together. Published ones are CONTRACTS 3, 4 and 6.

use crate::time::Millis;

/// Signals that have a row in the table. 512 is the fixed ones, all of the reserved ones, and room for more
/// discovered subjects at once than a person can act on.
pub const SIGNALS_MAX: usize = 512;
/// Bytes of a subject as it is shown. Longer ones are cut and hashed, see [`SUBJECT_KEPT_BYTES`].
pub const SUBJECT_BYTES_MAX: usize = 64;
/// Bytes of an over-long subject that stay in front of `~` and the 8 hex digits of its hash.
pub const SUBJECT_KEPT_BYTES: usize = 52;
/// Bytes of a detail, the reason in words that stands behind a signal.
pub const DETAIL_BYTES_MAX: usize = 200;
/// Channels that keep their own account of what was delivered.
pub const CHANNELS_MAX: usize = 4;

/// Dependencies (`WATCHDOG_DEP_<NAME>`).
pub const DEPENDENCIES_MAX: usize = 64;
/// Rules (`WATCHDOG_RULE_<NAME>`).
pub const RULES_MAX: usize = 32;
/// Paths of `WATCHDOG_DISK_PATHS`.
pub const DISK_PATHS_MAX: usize = 16;
/// Names in `WATCHDOG_CONTAINERS`, and in `WATCHDOG_CONTAINERS_IGNORE`.
pub const LISTED_CONTAINERS_MAX: usize = 64;
/// Patterns in `WATCHDOG_MUTE`.
pub const MUTES_MAX: usize = 64;
/// URLs in `WATCHDOG_ALERTMANAGER_URL`.
pub const ALERTMANAGERS_MAX: usize = 4;
/// Agents with state kept from one envelope to the next.
pub const AGENTS_MAX: usize = 1024;
/// Containers with state kept from one list to the next.
pub const CONTAINERS_MAX: usize = 512;
/// Containers inspected in one tick.
pub const INSPECTS_A_TICK_MAX: usize = 16;

/// Bytes of a configured host name (RFC 1035, 2.3.4: 255 on the wire, 253 as text).
pub const HOST_BYTES_MAX: usize = 253;
/// Bytes of a configured URL's path with its query.
pub const PATH_BYTES_MAX: usize = 512;
/// Bytes of `user:password` in a configured URL.
pub const USER_INFO_BYTES_MAX: usize = 192;
/// Bytes of a file system path in the configuration.
pub const FILE_PATH_BYTES_MAX: usize = 255;

/// Levels of nesting in a JSON document (CONTRACTS 3).
pub const JSON_DEPTH_MAX: usize = 64;
/// Bytes of one JSON string or number that are kept. A double may need 767 significant digits to be told from its
/// neighbour, so a shorter buffer could misread a number.
pub const JSON_TOKEN_BYTES_MAX: usize = 800;

/// Bytes of an HTTP answer's head (CONTRACTS 3).
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Fields of an HTTP answer's head (CONTRACTS 3).
pub const HTTP_FIELDS_MAX: usize = 64;
/// Bytes of a dependency's body in which `body=TEXT` is looked for (CONTRACTS 2).
pub const BODY_SEARCH_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the text that `body=` looks for.
pub const BODY_TEXT_BYTES_MAX: usize = 128;

/// Addresses of one name that are tried, both families together.
pub const ADDRESSES_MAX: usize = 8;
/// Time that one address has to accept a connection while others are left to try: a lost SYN is sent again after a
/// second, so less would give up on a link that drops one packet.
pub const CONNECT_ATTEMPT: Millis = Millis::from_millis(1_500);
/// TLS handshakes under way at once: each holds some 30 KiB, and a small host has one or two cores for them.
pub const TLS_HANDSHAKES_MAX: usize = 4;
/// Time in which a TLS connection that is being made counts among [`TLS_HANDSHAKES_MAX`]. A handshake over a bad link
/// takes less; what takes longer is mostly a peer that is not there, and holds no keys yet.
pub const HANDSHAKE_TURN: Millis = Millis::from_millis(400);

/// Bytes of a message to people (Telegram counts 4096 characters; bytes are the upper bound of those).
pub const MESSAGE_BYTES_MAX: usize = 4096;
/// Quiet time after a message in which what follows is collected for one digest (CONTRACTS 6).
pub const DIGEST_QUIET: Millis = Millis::from_secs(5);
/// Time between two messages when not all lines fitted into the first (CONTRACTS 6).
pub const OVERFLOW_GAP: Millis = Millis::from_secs(60);
/// Longest gap between two reminders, whatever the cooldown doubled to (CONTRACTS 5).
pub const REMINDER_GAP_MAX: Millis = Millis::from_secs(24 * 3600);
/// Flap changes that are remembered: the upper end of `WATCHDOG_FLAP_CHANGES`.
pub const FLAP_CHANGES_MAX: usize = 16;

/// Restarts of one container within [`RESTARTS_WINDOW`] from which it counts as restarting. 3 in 10 minutes: the
/// engine's back-off lets a container that dies at once restart five times in the first half minute, and a deploy
/// restarts it once.
pub const RESTARTS_MAX: usize = 3;
/// The window of [`RESTARTS_MAX`].
pub const RESTARTS_WINDOW: Millis = Millis::from_secs(600);
/// Quiet time after which a container's last OOM kill counts as over (CONTRACTS 4).
pub const OOM_QUIET: Millis = Millis::from_secs(600);
/// Time above the CPU ceiling from which an agent counts as running away (CONTRACTS 2).
pub const RUNAWAY_AFTER: Millis = Millis::from_secs(600);

/// Connections that the machine may have open at once: orchestrator, engine (list, inspect, events), DNS over TCP,
/// channels, heartbeat, and one for each dependency.
pub const CONNECTIONS_MAX: usize = 16 + DEPENDENCIES_MAX;

const _: () = {
    // A cut subject is its start, `~` and 8 digits, and must fit where a whole one fits.
    assert!(SUBJECT_KEPT_BYTES + 9 <= SUBJECT_BYTES_MAX);
    // Fixed signals, rules, three for each dependency, three for each path, one for each listed container.
    assert!(20 + RULES_MAX + 3 * DEPENDENCIES_MAX + 3 * DISK_PATHS_MAX + LISTED_CONTAINERS_MAX < SIGNALS_MAX);
    assert!(CONNECTIONS_MAX < 256);
    assert!(BODY_TEXT_BYTES_MAX < BODY_SEARCH_BYTES_MAX);
};
