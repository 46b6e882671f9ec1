//! Certificates against `x509-parser`.

use watchdog_core::wire::certificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Asserts that the end of a certificate's validity is the one that `x509-parser` tells, where both read the bytes, and that
/// what follows a whole certificate changes nothing. Their reader takes tags, lengths and forms of times that ours does not;
/// that ours reads what is written by the rules shows the replay of the seeds.
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
    if let Some(ours) = ours {
        assert_eq!(ours.seconds(), theirs.validity().not_after.timestamp());
    }
}
