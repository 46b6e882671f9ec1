//! What the Bot API answers.

use serde_json::Value;
use watchdog_core::channel::reply::Reply;

/// What an answer said: whether it was good, why not, when to come again, where the chat went, who the bot is.
type Said = (bool, String, Option<u64>, Option<i64>, String);

/// Asserts that an answer says the same however it is cut, and that, wherever `serde_json` reads it at all, it counts as
/// accepted exactly if that finds `"ok": true`, and has the chat that the other one was moved to.
pub fn telegram_reply(data: &[u8]) {
    let [whole, others @ ..] = crate::cuts(data).map(|pieces| read(&pieces));
    for other in others {
        assert_eq!(whole, other, "a cut changes what is read");
    }
    let depth = data.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    if depth < 64 {
        assert_eq!(whole.0, value.get("ok") == Some(&Value::Bool(true)), "{value}");
        let moved = value.pointer("/parameters/migrate_to_chat_id");
        if let Some(chat) = moved.filter(|chat| !chat.is_f64()) {
            assert_eq!(whole.3, chat.as_i64(), "{value}");
        }
    }
}

fn read(pieces: &[&[u8]]) -> Said {
    let mut reply = Reply::new();
    reply.begin();
    pieces.iter().for_each(|piece| reply.feed(piece));
    reply.end();
    let (description, username) = (reply.description().to_owned(), reply.username().to_owned());
    (
        reply.is_ok(),
        description,
        reply.retry_after(),
        reply.migrate_to(),
        username,
    )
}
