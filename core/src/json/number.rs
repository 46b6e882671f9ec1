//! Numbers.
/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number<'a>(&'a str);
