//! logfmt, read strictly: `key=value key="quoted \"value\""`.

use std::collections::BTreeMap;

/// Takes a line apart.
///
/// # Errors
/// What is wrong with the line, in words.
pub fn parse(line: &str) -> Result<BTreeMap<String, String>, String> {
    let mut fields = BTreeMap::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| format!("no = in {rest:?}"))?;
        let named = !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named {
            return Err(format!("{key:?} is no key"));
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => bare(after)?,
        };
        if fields.insert(key.to_owned(), value).is_some() {
            return Err(format!("{key} comes twice"));
        }
        rest = match after.strip_prefix(' ') {
            Some(next) if !next.is_empty() => next,
            None if after.is_empty() => after,
            _ => return Err(format!("no single space before {after:?}")),
        };
    }
    Ok(fields)
}

fn bare(text: &str) -> Result<(String, &str), String> {
    let end = text.find(' ').unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    if value.contains(['"', '=']) || value.chars().any(char::is_control) {
        return Err(format!("{value:?} would need quotes"));
    }
    Ok((value.to_owned(), after))
}

fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[place + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                other => return Err(format!("unknown escape {other:?}")),
            },
            control if control.is_control() => return Err(format!("a bare {control:?} in quotes")),
            other => value.push(other),
        }
    }
    Err("a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// A line of CONTRACTS 6 gives its fields; quotes and escapes are undone.
    #[test]
    fn a_line_gives_its_fields() {
        let fields = parse(r#"level=error event=firing detail="says \"no\" = never" checks=3"#).unwrap();
        assert_eq!(fields["detail"], r#"says "no" = never"#);
        assert_eq!(fields["checks"], "3");
        assert_eq!(fields.len(), 4);
    }

    /// What a log reader would misunderstand is refused.
    #[test]
    fn a_broken_line_is_refused() {
        for line in [
            "word",
            "a=1  b=2",
            "a=\"open",
            "a=1 ",
            "=1",
            "a=1 a=2",
            "a=b\"c",
            "a=\"x\"y=1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
