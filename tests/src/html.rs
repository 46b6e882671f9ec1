//! The HTML that Telegram takes, checked as strictly as Telegram does (Bot API, "HTML style").

/// The tags that Telegram knows; all others make it refuse the whole message.
const TAGS: [&str; 17] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "span",
    "tg-spoiler",
    "a",
    "tg-emoji",
    "code",
    "pre",
    "blockquote",
    "tg-time",
];

/// Tells the plain text that a reader sees.
///
/// # Errors
/// What Telegram would refuse, in words.
pub fn plain(text: &str) -> Result<String, String> {
    let mut shown = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        match character {
            '<' => {
                let (tag, after) = rest[1..].split_once('>').ok_or("a tag is not closed")?;
                rest = after;
                tag_seen(tag, &mut open)?;
            }
            '>' => return Err("a bare >".to_owned()),
            '&' => {
                let (entity, after) = rest[1..].split_once(';').ok_or("a bare &")?;
                shown.push(character_of(entity).ok_or_else(|| format!("unknown entity &{entity};"))?);
                rest = after;
            }
            other => {
                shown.push(other);
                rest = &rest[other.len_utf8()..];
            }
        }
    }
    match open.pop() {
        Some(tag) => Err(format!("<{tag}> is left open")),
        None => Ok(shown),
    }
}

fn tag_seen<'a>(tag: &'a str, open: &mut Vec<&'a str>) -> Result<(), String> {
    let (closing, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
    let name = tag.split(' ').next().unwrap_or_default();
    if !TAGS.contains(&name) {
        return Err(format!("unsupported start tag {name:?}"));
    }
    if !closing {
        open.push(name);
        return Ok(());
    }
    match open.pop() {
        Some(last) if last == name => Ok(()),
        last => Err(format!("</{name}> closes {last:?}")),
    }
}

fn character_of(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    /// Well-formed text comes out as people read it.
    #[test]
    fn good_text_is_read() {
        assert_eq!(
            plain("<b>host-1</b>\na &lt;&amp;&#39; b").unwrap(),
            "host-1\na <&' b"
        );
    }

    /// Whatever Telegram refuses is refused.
    #[test]
    fn bad_text_is_refused() {
        for text in [
            "a < b",
            "a > b",
            "a & b",
            "<br>",
            "<b>x",
            "<b><i>x</b></i>",
            "x</b>",
            "&nbsp;",
            "<b",
        ] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}
