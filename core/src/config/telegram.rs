//! What only Telegram's variables hold: the bot's token and the chat.
//!
//! Must never show the token, not even a faulty one. Tests: beside the code.

use core::num::NonZeroI64;

use heapless::{String, Vec};

use super::value::{cut, digits};
use super::{Name, Scheme, Secret, Telegram, Url};
use crate::text::append;

/// Nothing yet, to be filled variable by variable.
pub(super) const fn blank() -> Telegram {
    Telegram {
        token: Secret::EMPTY,
        chat_id: String::new(),
        thread_id: None,
        api_url: Url {
            scheme: Scheme::Https,
            host: String::new(),
            port: 443,
            path: Secret::EMPTY,
            user_info: Secret::EMPTY,
        },
        proxy: None,
    }
}

/// Reads a bot's token: digits, a colon, and letters, digits, `_` or `-`. It goes into a URL's path as it is, so nothing
/// else may stand in it.
pub(super) fn token(text: &str) -> Option<Secret<128>> {
    let (bot, key) = cut(text, ':')?;
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let is_bot = !bot.is_empty() && bot.bytes().all(|byte| byte.is_ascii_digit());
    Secret::new(text).filter(|_| is_bot && is_key)
}

/// Reads a chat: a 64-bit integer other than 0, told without leading zeros, or `@` and a public name.
pub(super) fn chat_id(text: &str) -> Option<Name> {
    if let Some(name) = text.strip_prefix('@') {
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return Name::try_from(text).ok().filter(|_| is_name);
    }
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => ("-", magnitude),
        None => ("", text),
    };
    let number = digits(magnitude)?;
    let fits = match sign {
        "-" => 0_i64.checked_sub_unsigned(number).is_some(),
        _ => i64::try_from(number).is_ok(),
    };
    let mut id = Vec::new();
    append(&mut id, sign)?;
    append(&mut id, magnitude.trim_start_matches('0'))?;
    String::from_utf8(id).ok().filter(|_| fits && number != 0)
}

/// Reads a topic: a positive integer.
pub(super) fn thread_id(text: &str) -> Option<NonZeroI64> {
    NonZeroI64::new(i64::try_from(digits(text)?).ok()?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn a_token_is_digits_a_colon_and_a_key() {
        assert_eq!(token("123456:AAb-c_9").unwrap().reveal(), "123456:AAb-c_9");
        let long = format!("1:{}", "a".repeat(126));
        assert!(token(&long).is_some());
        assert!(token(&format!("{long}a")).is_none());
        for text in [
            "",
            ":",
            "123",
            "123:",
            ":abc",
            "12a:abc",
            "123:ab c",
            "123:abc\n",
            " 123:abc",
            "123:a/b",
            "123:a:b",
            "123:é",
            "bot123:abc",
            "-1:a",
        ] {
            assert!(token(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_chat_is_an_integer_or_a_channel() {
        for (text, id) in [
            ("123", Some("123")),
            ("-1001234567890", Some("-1001234567890")),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("9223372036854775807", Some("9223372036854775807")),
            ("007", Some("7")),
            ("@ops_channel", Some("@ops_channel")),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("0", None),
            ("-0", None),
            ("+1", None),
            ("--1", None),
            ("-", None),
            ("1.0", None),
            ("ops", None),
            ("@", None),
            ("@a b", None),
            ("123:abc", None),
            ("", None),
        ] {
            assert_eq!(chat_id(text).as_deref(), id, "{text}");
        }
    }

    #[test]
    fn a_topic_is_a_positive_integer() {
        assert_eq!(thread_id("42"), NonZeroI64::new(42));
        for text in ["0", "-1", "x", "9223372036854775808", ""] {
            assert_eq!(thread_id(text), None, "{text}");
        }
    }
}
