//! What the Bot API answers, read as a stream: `ok`, `description`, `parameters`, and the bot's name.

use heapless::String;

use crate::json::path::{Matcher, Patterns, Segment};
use crate::json::{Event, Reader};
use crate::text::Cut;
use core::fmt::Write as _;

/// The paths that are read, by their numbers.
const PATHS: [&[&str]; 5] = [
    &["ok"],
    &["description"],
    &["parameters", "retry_after"],
    &["parameters", "migrate_to_chat_id"],
    &["result", "username"],
];
const OK: usize = 0;
const DESCRIPTION: usize = 1;
const RETRY_AFTER: usize = 2;
const MIGRATE_TO: usize = 3;
const USERNAME: usize = 4;

/// One answer.
#[derive(Debug)]
pub struct Reply {
    reader: Reader,
    matcher: Matcher,
    readable: bool,
    found: Found,
}

#[derive(Debug)]
struct Found {
    ok: bool,
    description: String<128>,
    retry_after_s: Option<u64>,
    migrate_to: Option<i64>,
    username: String<64>,
}

impl Reply {
    /// An answer of which nothing was read.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            reader: Reader::new(),
            matcher: Matcher::new(),
            readable: false,
            found: Found {
                ok: false,
                description: String::new(),
                retry_after_s: None,
                migrate_to: None,
                username: String::new(),
            },
        }
    }

    /// An answer begins.
    pub fn begin(&mut self) {
        self.reader.reset();
        self.matcher.reset();
        self.readable = true;
        self.found.ok = false;
        self.found.description.clear();
        self.found.retry_after_s = None;
        self.found.migrate_to = None;
        self.found.username.clear();
    }

    /// A part of it came.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self {
            reader,
            matcher,
            readable,
            found,
        } = self;
        *readable = *readable
            && reader
                .feed(bytes, &mut |event| found.take(matcher, &event))
                .is_ok();
    }

    /// It came to its end.
    pub fn end(&mut self) {
        let Self {
            reader,
            matcher,
            readable,
            found,
        } = self;
        *readable = *readable && reader.finish(&mut |event| found.take(matcher, &event)).is_ok();
    }

    /// Tells whether it is a whole document that says `"ok":true`.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.readable && self.found.ok
    }

    /// Tells the description of an error; empty if there is none.
    #[must_use]
    pub fn description(&self) -> &str {
        self.found.description.as_str()
    }

    /// Tells how many seconds to wait, if it says.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        self.found.retry_after_s
    }

    /// Tells the chat that this one was moved to, if it says.
    #[must_use]
    pub const fn migrate_to(&self) -> Option<i64> {
        self.found.migrate_to
    }

    /// Tells the bot's user name, if it says.
    #[must_use]
    pub fn username(&self) -> &str {
        self.found.username.as_str()
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

impl Found {
    fn take(&mut self, matcher: &mut Matcher, event: &Event<'_>) {
        let segment = |pattern: usize, level: usize| {
            PATHS
                .get(pattern)
                .and_then(|path| path.get(level))
                .map(|key| Segment::Key(key))
        };
        let step = matcher.step(event, Patterns::first(PATHS.len()), segment);
        step.replaced.into_iter().for_each(|pattern| self.forget(pattern));
        for pattern in step.matched {
            match (pattern, event) {
                (OK, Event::Bool(value)) => self.ok = *value,
                (DESCRIPTION, Event::String(text)) => cut_into(&mut self.description, text.start()),
                (RETRY_AFTER, Event::Number(number)) => self.retry_after_s = number.as_u64(),
                (MIGRATE_TO, Event::Number(number)) => self.migrate_to = number.as_i64(),
                (USERNAME, Event::String(text)) => cut_into(&mut self.username, text.start()),
                _ => {}
            }
        }
    }

    /// The last of two equal keys counts, whatever its value is: that of before is none.
    fn forget(&mut self, pattern: usize) {
        match pattern {
            OK => self.ok = false,
            DESCRIPTION => self.description.clear(),
            RETRY_AFTER => self.retry_after_s = None,
            MIGRATE_TO => self.migrate_to = None,
            USERNAME => self.username.clear(),
            _ => {}
        }
    }
}

fn cut_into<const N: usize>(target: &mut String<N>, text: &str) {
    target.clear();
    let _ = Cut::new(target).write_str(text);
}

#[cfg(test)]
mod tests {
    use super::Reply;

    fn read(bytes: &[u8]) -> Reply {
        let mut reply = Reply::new();
        reply.begin();
        reply.feed(bytes);
        reply.end();
        reply
    }

    /// Of two equal keys the last one replaces the earlier value even if it is of a wrong type: nothing of before stays.
    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert!(!read(br#"{"ok":true,"ok":1}"#).is_ok());
        assert!(read(br#"{"ok":1,"ok":true}"#).is_ok());
        let moved = read(
            br#"{"parameters":{"migrate_to_chat_id":-5,"retry_after":7},"parameters":{"retry_after":8}}"#,
        );
        assert_eq!((moved.migrate_to(), moved.retry_after()), (None, Some(8)));
        let named = read(br#"{"description":"x","description":null,"result":{"username":"a"},"result":[]}"#);
        assert_eq!((named.description(), named.username()), ("", ""));
    }
}
