//! The configuration as it serves, for `watchdog config`: each variable's value in canonical form, and where it came from.
//!
//! Must never show a secret. Reads no field that [`super::parse`] did not fill. Tests: beside the code.

use core::fmt;

use super::parse::{Given, Target, for_each_member, given, member_name, read};
use super::value::{Shortest, ShortestSingle, Span};
use super::variables::{DEPENDENCY_PREFIX, Preset, RULE_PREFIX, VARIABLES, Value, Variable};
use super::{Config, EngineAddress, Origin, Pair, Telegram, telegram};

const MASK: &str = "***";
const OFF: &str = "off";

/// Tells every variable in the order of CONTRACTS 2, then each rule and each dependency that serves.
///
/// `config` is what [`super::parse`] made of the same pairs. Values are in canonical form, secrets masked, and
/// what is unset is empty. A variable whose value is faulty has its default and [`Origin::Default`].
pub fn effective(pairs: &[Pair<'_>], config: &Config, out: &mut dyn FnMut(&str, &dyn fmt::Display, Origin)) {
    let mut telegram = telegram::blank();
    for variable in VARIABLES {
        if matches!(variable.value, Value::Rules | Value::Dependencies) {
            continue;
        }
        let origin = origin(pairs, variable, config, &mut telegram);
        let shown = Serving {
            value: &variable.value,
            config,
            telegram: &telegram,
        };
        out(variable.name(), &shown, origin);
    }
    for_each_member(pairs, RULE_PREFIX, |full_name| {
        let name = member_name(full_name, RULE_PREFIX);
        let serves = config.rules.iter().any(|rule| Some(&rule.name) == name.as_ref());
        if let (true, Given::Value(text, origin)) = (serves, given(pairs, full_name)) {
            out(full_name, &Cleaned(text.trim()), origin);
        }
    });
    for_each_member(pairs, DEPENDENCY_PREFIX, |full_name| {
        let name = member_name(full_name, DEPENDENCY_PREFIX);
        let dependency = config
            .dependencies
            .iter()
            .find(|dependency| Some(&dependency.name) == name.as_ref());
        if let (Some(dependency), Given::Value(_, origin)) = (dependency, given(pairs, full_name)) {
            out(full_name, dependency, origin);
        }
    });
}

/// Tells where the value that serves came from. Telegram's are kept on the side: half a Telegram is none in the
/// configuration, and still to be shown.
fn origin(pairs: &[Pair<'_>], variable: &Variable, config: &Config, telegram: &mut Telegram) -> Origin {
    if let Given::Value(text, origin) = given(pairs, variable.name()) {
        let check = Target {
            config: None,
            telegram: Some(telegram),
        };
        if read(&variable.value, text, pairs, config.interval, check).is_ok() {
            return origin;
        }
    }
    if let Preset::Text(text) = variable.preset() {
        let default = Target {
            config: None,
            telegram: Some(telegram),
        };
        let _ = read(&variable.value, text, pairs, config.interval, default);
    }
    Origin::Default
}

/// A variable's value as it serves.
struct Serving<'a> {
    value: &'a Value,
    config: &'a Config,
    telegram: &'a Telegram,
}

impl fmt::Display for Serving<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        match self.value {
            Value::Bool(lens) => write!(f, "{}", (lens.of)(config)),
            Value::Instance(lens) => f.write_str((lens.of)(config)),
            Value::Span(lens, _) | Value::Timeout(lens, _) => Span(*(lens.of)(config)).fmt(f),
            Value::Limit(lens, _) => emit_or(f, OFF, (lens.of)(config).map(Span)),
            Value::Ticks(lens) => write!(f, "{}", (lens.of)(config)),
            Value::FlapChanges(lens) => write!(f, "{}", (lens.of)(config)),
            Value::Log(lens) => f.write_str((lens.of)(config).as_str()),
            Value::Percent(lens) => match (lens.of)(config) {
                Some(percent) => write!(f, "{}%", ShortestSingle(percent.0)),
                None => f.write_str(OFF),
            },
            Value::Number(lens) => emit_or(f, OFF, (lens.of)(config).map(Shortest)),
            Value::Single(lens) => emit_or(f, OFF, (lens.of)(config).map(ShortestSingle)),
            Value::Mutes(lens) => emit_list(f, (lens.of)(config)),
            Value::UrlOrOff(lens) => emit_or(f, OFF, (lens.of)(config).as_ref()),
            Value::SecretUrl(lens) => emit_or(f, "", (lens.of)(config).as_ref().map(|_| MASK)),
            Value::BaseUrls(lens) => emit_list(f, (lens.of)(config)),
            Value::Engine(lens) => emit_engine(f, (lens.of)(config).as_ref()),
            Value::Containers(lens) => emit_list(f, (lens.of)(config)),
            Value::DiskPaths(lens) => emit_list(f, (lens.of)(config)),
            Value::Folder(lens) => f.write_str((lens.of)(config)),
            Value::File(lens) => emit_or(f, "", (lens.of)(config).as_ref()),
            Value::Listen(lens) => emit_or(f, OFF, (lens.of)(config).as_ref()),
            Value::Nameserver(lens) => emit_or(f, "", (lens.of)(config).as_ref()),
            Value::Token => f.write_str(if self.telegram.token.reveal().is_empty() {
                ""
            } else {
                MASK
            }),
            Value::ChatId => f.write_str(&self.telegram.chat_id),
            Value::ThreadId => emit_or(f, "", self.telegram.thread_id),
            Value::ApiUrl => self.telegram.api_url.fmt(f),
            Value::Proxy => emit_or(f, "", self.telegram.proxy.as_ref().map(|_| MASK)),
            Value::Rules | Value::Dependencies => Ok(()),
        }
    }
}

fn emit_or(f: &mut fmt::Formatter<'_>, nothing: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => value.fmt(f),
        None => f.write_str(nothing),
    }
}

fn emit_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    let mut divider = "";
    for item in items {
        write!(f, "{divider}{item}")?;
        divider = ",";
    }
    Ok(())
}

fn emit_engine(f: &mut fmt::Formatter<'_>, engine: Option<&EngineAddress>) -> fmt::Result {
    match engine {
        Some(EngineAddress::Unix(path)) => write!(f, "unix://{path}"),
        Some(EngineAddress::Tcp(host, port)) if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
        Some(EngineAddress::Tcp(host, port)) => write!(f, "tcp://{host}:{port}"),
        None => f.write_str(OFF),
    }
}

impl fmt::Display for super::DiskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shown == self.path {
            f.write_str(&self.path)
        } else {
            write!(f, "{}={}", self.shown, self.path)
        }
    }
}

/// A text in one line.
struct Cleaned<'a>(&'a str);

impl fmt::Display for Cleaned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .map(crate::text::shown)
            .try_for_each(|character| write!(f, "{character}"))
    }
}
