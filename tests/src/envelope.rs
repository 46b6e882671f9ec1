//! Envelopes of CONTRACTS 3 to start a script from.

use std::time::SystemTime;

use serde_json::{Value, json};

/// The text of this moment, as `generated_at` holds it.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// An envelope of this moment in which nothing is wrong.
pub fn healthy() -> Value {
    json!({
        "schema_version": 1,
        "generated_at": now(),
        "clk_tck": 100,
        "enabled": true,
        "stages": [{"stage": "build", "count": 2, "oldest_age_s": 312.5}],
        "queue": {"depth": 4, "running": 2, "failed": 0, "oldest_age_s": 42.0},
        "agents": [],
        "cost": {"today_usd": 3.2, "total_usd": 120.5},
    })
}

/// One agent of the list.
pub fn agent(id: &str, pid: u32, ticks: u64) -> Value {
    json!({"id": id, "stage": "build", "pid": pid, "utime": ticks, "stime": 0, "elapsed_s": 900.0})
}
