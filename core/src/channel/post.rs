//! POST, the one request that carries something: a message to people.
//!
//! It can be built inside the channels alone, because its fields are theirs: a probe has no way to make one, so neither
//! the engine nor a dependency can be sent anything but a GET. Tests: beside the code.

use core::fmt::{self, Write};

use crate::wire::http::Authority;
use crate::wire::http::request::{emit_fields, emit_target};

/// A POST with its body.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// Whom it is for.
    pub(super) authority: Authority<'a>,
    /// Path with query, beginning with `/`.
    pub(super) path: fmt::Arguments<'a>,
    /// `user:password`, to be sent as Basic authentication.
    pub(super) user_info: Option<&'a str>,
    /// What the body is.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: &'a str,
}

impl Post<'_> {
    /// Writes the request with its body.
    ///
    /// # Errors
    /// It does not fit into `out`, or path or host hold a character that can not stand in a request. What was written
    /// by then must not be sent.
    pub fn emit(&self, out: &mut impl Write) -> fmt::Result {
        out.write_str("POST ")?;
        emit_target(out, self.path)?;
        emit_fields(out, self.authority, self.user_info)?;
        write!(
            out,
            "Content-Type: {}\r\nContent-Length: {}\r\n\r\n{}",
            self.content_type,
            self.body.len(),
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole request stands as a server must see it; the length counts bytes, not characters.
    #[test]
    fn a_post_to_the_byte() {
        let mut out = heapless::String::<512>::new();
        let post = Post {
            authority: Authority {
                host: "api.telegram.org",
                port: None,
            },
            path: format_args!("/bot{}/sendMessage", "1:x"),
            user_info: None,
            content_type: "application/json",
            body: "{\"t\":\"\u{1f534}\"}",
        };
        post.emit(&mut out).unwrap();
        let expected = concat!(
            "POST /bot1:x/sendMessage HTTP/1.1\r\nHost: api.telegram.org\r\nUser-Agent: watchdog/",
            env!("CARGO_PKG_VERSION"),
            "\r\nAccept: */*\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n",
            "{\"t\":\"\u{1f534}\"}"
        );
        assert_eq!(out.as_str(), expected);
    }
}
