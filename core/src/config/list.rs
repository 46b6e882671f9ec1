//! Values that are lists: muted signals, container names, mount points, Alertmanagers.
//!
//! Items stand between commas, white space around them and empty ones passed over; one faulty item makes the whole list faulty,
//! since what is meant by the rest cannot be known. Tests: beside the code.

use heapless::{String, Vec};

use super::url::{self, UrlFault};
use super::value::cut;
use super::variables::{FilePath, RULE_PREFIX};
use super::{DiskPath, Name, Pair, Url};
use crate::limits::{ALERTMANAGERS_MAX, DISK_PATHS_MAX, LISTED_CONTAINERS_MAX, MUTES_MAX, SUBJECT_BYTES_MAX};
use crate::signal::Kind;
use crate::text::Subject;

/// A pattern of signal ids: a kind's name, a colon, and a subject, each name of at most 64 bytes.
pub type Pattern = String<{ 2 * SUBJECT_BYTES_MAX + 1 }>;

/// The items between commas; see [`cut`] for why the comma stands in brackets.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split([',']).map(str::trim).filter(|item| !item.is_empty())
}

/// Reads patterns of signal ids. Their kind must exist, or a slip of the pen would mute nothing without a word.
pub(super) fn mutes(text: &str, pairs: &[Pair<'_>]) -> Option<Vec<Pattern, MUTES_MAX>> {
    let mut patterns = Vec::new();
    for item in items(text) {
        let (id, is_start) = match item.strip_suffix('*') {
            Some(start) => (start, Some(())),
            None => (item, None),
        };
        let is_plain = !id.contains(['*', '"']) && !id.chars().any(char::is_control);
        let is_kind = match (cut(id, ':'), is_start) {
            (Some((kind, _)), _) => any_kind(pairs, |name| name.eq_ignore_ascii_case(kind)),
            (None, Some(())) => any_kind(pairs, |name| starts_with_in_any_case(name, id)),
            (None, None) => any_kind(pairs, |name| name.eq_ignore_ascii_case(id)),
        };
        if !is_plain || !is_kind {
            return None;
        }
        patterns.push(Pattern::try_from(item).ok()?).ok()?;
    }
    Some(patterns)
}

/// Tells whether a built-in kind or a rule, also one that is faulty, has a name that fits.
fn any_kind(pairs: &[Pair<'_>], fits: impl Fn(&str) -> bool) -> bool {
    let mut rules = pairs
        .iter()
        .filter_map(|pair| pair.name.strip_prefix(RULE_PREFIX));
    Kind::BUILT_IN.iter().any(|kind| fits(kind.name())) || rules.any(fits)
}

fn starts_with_in_any_case(name: &str, start: &str) -> bool {
    name.split_at_checked(start.len())
        .is_some_and(|(head, _)| head.eq_ignore_ascii_case(start))
}

/// Reads container names as the engine allows them: a letter or digit, then also `_`, `.` and `-`.
pub(super) fn containers(text: &str) -> Option<Vec<Name, LISTED_CONTAINERS_MAX>> {
    let mut names = Vec::new();
    for item in items(text) {
        let is_name = item.starts_with(|first: char| first.is_ascii_alphanumeric())
            && item
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        let name = Name::try_from(item).ok().filter(|_| is_name)?;
        if !names.contains(&name) {
            names.push(name).ok()?;
        }
    }
    Some(names)
}

/// Reads mount points, `PATH` or `SHOWN=PATH`. Two that are shown alike would be one signal, so they are a fault.
pub(super) fn disk_paths(text: &str) -> Option<Vec<DiskPath, DISK_PATHS_MAX>> {
    let mut paths: Vec<DiskPath, DISK_PATHS_MAX> = Vec::new();
    for item in items(text) {
        let (shown, path) = match split_shown(item) {
            Some((shown, path)) => (Name::try_from(shown).ok()?, path),
            None => (Name::try_from(Subject::new(item).as_str()).ok()?, item),
        };
        let path = file_path(path)?;
        let is_new = !shown.is_empty()
            && !shown.chars().any(char::is_control)
            && paths.iter().all(|other| other.shown != shown);
        if !is_new {
            return None;
        }
        paths.push(DiskPath { shown, path }).ok()?;
    }
    (!paths.is_empty()).then_some(paths)
}

/// Splits `SHOWN=PATH`. `=` may stand in a path too, so only one in front of a path's first `/` divides.
fn split_shown(item: &str) -> Option<(&str, &str)> {
    let mut rest = item;
    loop {
        let (_, path) = cut(rest, '=')?;
        if path.starts_with('/') {
            return Some((item.strip_suffix(path)?.strip_suffix('=')?, path));
        }
        rest = path;
    }
}

/// Reads an absolute path.
pub(super) fn file_path(text: &str) -> Option<FilePath> {
    let is_path = text.starts_with('/') && !text.chars().any(char::is_control);
    FilePath::try_from(text).ok().filter(|_| is_path)
}

/// Reads base URLs.
pub(super) fn base_urls(text: &str) -> Result<Vec<Url, ALERTMANAGERS_MAX>, Option<UrlFault>> {
    let mut urls = Vec::new();
    for item in items(text) {
        let url = url::parse_base(item).map_err(Some)?;
        urls.push(url).map_err(|_| None)?;
    }
    Ok(urls)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::config::Origin;
    use std::format;
    use std::string::String as Text;
    use std::vec::Vec as List;

    fn shown<T: AsRef<str>>(names: &[T]) -> Text {
        names.iter().map(T::as_ref).collect::<List<_>>().join("|")
    }

    #[test]
    fn container_names_are_those_of_the_engine() {
        let names = containers(" web, db-1 ,,stack_web.1.xyz,web,").unwrap();
        assert_eq!(shown(&names), "web|db-1|stack_web.1.xyz");
        for text in ["/web", "-web", "we b", "wéb", "web;db", "*", &"x".repeat(65)] {
            assert!(containers(text).is_none(), "{text}");
        }
        let many: List<Text> = (0..65).map(|number| format!("c{number}")).collect();
        assert!(containers(&many[..64].join(",")).is_some());
        assert!(containers(&many.join(",")).is_none());
    }

    #[test]
    fn mount_points_are_absolute_and_shown_once() {
        let paths = disk_paths("/=/host/root, /data ,big disk=/mnt/a=b").unwrap();
        let all: List<_> = paths.iter().map(|p| format!("{}<{}", p.shown, p.path)).collect();
        assert_eq!(all.join("|"), "/</host/root|/data</data|big disk</mnt/a=b");
        for text in [
            "",
            ",",
            "data",
            "=/x",
            "a=b",
            "/a,/a",
            "x=/a,x=/b",
            "/a\nb",
            "x\ny=/a",
            &format!("/{}", "p".repeat(255)),
        ] {
            assert!(disk_paths(text).is_none(), "{text}");
        }
        let long = disk_paths(&format!("/{}", "p".repeat(254))).unwrap();
        assert!(long[0].shown.len() <= 64 && long[0].shown.contains('~') && long[0].path.len() == 255);
        let many: List<Text> = (0..17).map(|number| format!("/{number}")).collect();
        assert!(disk_paths(&many[..16].join(",")).is_some());
        assert!(disk_paths(&many.join(",")).is_none());
    }

    #[test]
    fn muted_signals_must_exist() {
        let rule = [Pair {
            name: "WATCHDOG_RULE_FAILED_JOBS",
            value: Ok("a > 1"),
            origin: Origin::Env,
        }];
        for text in [
            "dep_down:gitea",
            "dep_*",
            "*",
            "orch_down, queue_old",
            "stage_stuck:b*",
            "failed_jobs",
            "failed_jobs:x",
            "container_*",
        ] {
            assert!(mutes(text, &rule).is_some(), "{text}");
        }
        for text in [
            "dep_dwn:gitea",
            "dep_d*n",
            "nonsense",
            "orch_down:a*b",
            "failed",
            ":x",
            "or*n*",
            "dep_down:a\u{1}",
        ] {
            assert!(mutes(text, &rule).is_none(), "{text}");
        }
        assert!(mutes("failed_jobs", &[]).is_none());
        assert!(mutes(&format!("dep_down:{}", "x".repeat(64)), &[]).is_some());
        assert!(mutes(&format!("dep_down:{}", "x".repeat(130)), &[]).is_none());
        let many: List<Text> = (0..65).map(|number| format!("dep_down:{number}")).collect();
        assert!(mutes(&many[..64].join(","), &[]).is_some() && mutes(&many.join(","), &[]).is_none());
    }

    #[test]
    fn base_urls_tell_the_first_fault() {
        assert_eq!(base_urls("http://a:9093, https://b/am").unwrap().len(), 2);
        assert_eq!(base_urls("http://a,ftp://b").unwrap_err(), Some(UrlFault::Scheme));
        assert_eq!(
            base_urls("http://a,http://b,http://c,http://d,http://e").unwrap_err(),
            None
        );
    }
}
