//! Certificates against `x509-parser`.

use watchdog_core::time::Utc;
use watchdog_core::wire::certificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// Asserts that the end of a certificate's validity is the one that `x509-parser` tells, where both read the bytes; that
/// one which it reads, and whose end is written as RFC 5280 has it, is read; and that what follows a whole one changes nothing.
pub fn cert(data: &[u8]) {
    let ours = certificate::not_after(data);
    // What was cut short may be completed by what follows; what is whole may not change.
    if ours.is_some() {
        let longer = [data, b"\x30\x00"].concat();
        assert_eq!(certificate::not_after(&longer), ours);
    }
    let Ok((_, theirs)) = X509Certificate::from_der(data) else {
        return;
    };
    let validity = theirs.validity();
    let end = validity.not_after;
    match ours {
        Some(ours) => assert_eq!(ours.seconds(), end.timestamp()),
        // Their reader takes more: offsets, fractions, no seconds. Such an end stands nowhere as it should.
        None => assert!(
            validity.not_before == end || !stands_in(data, end),
            "{end} was not read"
        ),
    }
}

/// Tells whether this time stands in the bytes in one of the two forms of RFC 5280, 4.1.2.5.
fn stands_in(data: &[u8], time: ASN1Time) -> bool {
    let mut text = Utc::new(time.timestamp(), 0).to_string();
    text.retain(|letter| letter.is_ascii_digit() || letter == 'Z');
    let is_short = ("1950".."2050").contains(&&text[..4]);
    let long = [b"\x18\x0f", text.as_bytes()].concat();
    let short = [b"\x17\x0d", &text.as_bytes()[2..]].concat();
    let has = |form: &[u8]| data.windows(form.len()).any(|window| window == form);
    has(&long) || is_short && has(&short)
}
