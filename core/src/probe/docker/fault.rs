//! Why the engine counts as down, in words.

use core::fmt;

use super::Version;
use crate::json;

/// Why the engine does not answer usably: the reason of `docker_down`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The exchange failed or was not over in time; whoever held it knows more. The engine or the way there is at fault.
    #[default]
    NoAnswer,
    /// A proxy in between refuses the list: its configuration is at fault.
    Refused,
    /// The engine answered with a status that is not 200.
    Http(u16),
    /// The engine refuses the API version that it had offered.
    Version(Version),
    /// The list is a page for people: something else listens there.
    Html,
    /// The list is no JSON document.
    NotJson(json::Fault),
    /// The list is JSON, and no list.
    NotAList,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no answer"),
            Self::Refused => f.write_str("the proxy refuses /containers/json"),
            Self::Http(status) => write!(f, "http {status}"),
            Self::Version(version) => write!(f, "the engine refuses API version {version}"),
            Self::Html => f.write_str("HTML instead of JSON"),
            Self::NotJson(fault @ (json::Fault::TooDeep | json::Fault::CutShort)) => write!(f, "{fault}"),
            Self::NotJson(json::Fault::Empty) => f.write_str("empty answer"),
            Self::NotJson(fault) => write!(f, "unreadable: {fault}"),
            Self::NotAList => f.write_str("unreadable: not a list of containers"),
        }
    }
}
