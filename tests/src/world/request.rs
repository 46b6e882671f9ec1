//! What the machine sends, read strictly.

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path with query.
    pub path: &'a str,
    /// The fields of the head.
    pub fields: Vec<(&'a str, &'a str)>,
    /// What follows the head.
    pub body: &'a str,
}

impl Request<'_> {
    /// Tells a field's value, if it stands in the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }
}

/// Reads a whole request.
///
/// # Errors
/// What a strict server would refuse, in words.
pub fn parse(bytes: &[u8]) -> Result<Request<'_>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a request is not UTF-8".to_owned())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("a head without its end")?;
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, path, "HTTP/1.1"] = words[..] else {
        return Err(format!("request line of {} words", words.len()));
    };
    if !path.starts_with('/') || !matches!(method, "GET" | "POST") {
        return Err("bad method or path".to_owned());
    }
    let (mut hosts, mut length, mut fields) = (0, None, Vec::new());
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a field without a colon")?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(token) || value.is_empty() || value.contains(['\r', '\n']) {
            return Err(format!("bad field {name:?}"));
        }
        fields.push((name, value));
        match name {
            "Host" => hosts += 1,
            "Content-Length" => length = Some(value.parse::<usize>().map_err(|_| "bad length")?),
            _ => {}
        }
    }
    let right_length = if method == "POST" {
        length == Some(body.len())
    } else {
        length.is_none() && body.is_empty()
    };
    if hosts != 1 || !right_length {
        return Err("hosts or length are wrong".to_owned());
    }
    Ok(Request {
        method,
        path,
        fields,
        body,
    })
}
