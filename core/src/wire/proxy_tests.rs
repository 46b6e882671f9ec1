//! Tunnels, answered right and wrong, whole and byte by byte.

extern crate std;
use super::*;
use crate::limits::HTTP_HEAD_BYTES_MAX;
use std::format;
use std::string::ToString as _;
use std::vec::Vec as Bytes;

fn url(text: &str) -> Url {
    crate::config::parse_url(text).unwrap()
}

const LOGIN: &str = "socks5://user:pass@proxy:1080";
const API: &str = "https://api.telegram.org";

fn said(tunnel: &Tunnel, proxy: &str, target: &str) -> Vec<u8, 512> {
    let mut out = Vec::new();
    tunnel.emit(&url(proxy), &url(target), &mut out).unwrap();
    out
}

/// Feeds an answer in two pieces and byte by byte: what comes of it must be the same each time.
fn feed(way: Way, step: Step, answer: &[u8]) -> Result<Progress, Fault> {
    let fed = |pieces: &[&[u8]]| {
        let mut tunnel = Tunnel::new(way);
        tunnel.step = step;
        let mut response = Response::new();
        let mut progress = Ok(Progress::NeedMore);
        for piece in pieces {
            progress = tunnel.feed(piece, &mut response);
            if progress != Ok(Progress::NeedMore) {
                break;
            }
        }
        progress
    };
    let whole = fed(&[answer]);
    for at in 0..answer.len() {
        let (left, right) = answer.split_at(at);
        let split = fed(&[left, right]);
        // What comes behind an answer is refused only as far as it comes with it; later it is no answer any more.
        if whole != Err(Fault::Surplus) {
            assert_eq!(split, whole, "split at {at}");
        }
    }
    let single: Bytes<&[u8]> = answer.chunks(1).collect();
    if whole != Err(Fault::Surplus) && !answer.is_empty() {
        assert_eq!(fed(&single), whole, "byte by byte");
    }
    whole
}

/// What is said to a CONNECT proxy stands as it must see it, to the byte, with and without a login.
#[test]
fn a_connect_to_the_byte() {
    let tunnel = Tunnel::new(Way::Connect);
    assert_eq!(
        said(&tunnel, "http://proxy:3128", API),
        b"CONNECT api.telegram.org:443 HTTP/1.1\r\nHost: api.telegram.org:443\r\n\r\n"
    );
    assert_eq!(
        said(&tunnel, "http://u:p@proxy:3128", "http://[::1]:8081/base"),
        b"CONNECT [::1]:8081 HTTP/1.1\r\nHost: [::1]:8081\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    );
}

/// What is said to a SOCKS5 proxy stands as RFC 1928 and 1929 have it, to the byte: names as names.
#[test]
fn socks_to_the_byte() {
    assert_eq!(
        said(&Tunnel::new(Way::Socks), "socks5://proxy:1080", API),
        [5, 1, 0]
    );
    let mut tunnel = Tunnel::new(Way::SocksLogin);
    assert_eq!(said(&tunnel, LOGIN, API), [5, 2, 0, 2]);
    tunnel.step = Step::Password;
    assert_eq!(said(&tunnel, LOGIN, API), b"\x01\x04user\x04pass");
    tunnel.step = Step::Target;
    assert_eq!(
        said(&tunnel, LOGIN, API),
        b"\x05\x01\x00\x03\x10api.telegram.org\x01\xbb"
    );
    assert_eq!(
        said(&tunnel, LOGIN, "http://10.1.2.3:80"),
        [5, 1, 0, 1, 10, 1, 2, 3, 0, 80]
    );
    let v6 = said(&tunnel, LOGIN, "http://[::1]:80");
    let mut expected = [5, 1, 0, 4].to_vec();
    expected.extend([0; 15]);
    expected.extend([1, 0, 80]);
    assert_eq!(v6.as_slice(), expected);
}

/// A password holds colons; only the first one ends the user.
#[test]
fn a_password_with_colons() {
    let mut tunnel = Tunnel::new(Way::SocksLogin);
    tunnel.step = Step::Password;
    assert_eq!(said(&tunnel, "socks5://a:b%3Ac@p:1", API), b"\x01\x01a\x03b:c");
}

/// 2xx opens the tunnel, also behind interim heads and with fields that mean a body elsewhere; every other status is a
/// reason in words.
#[test]
fn answers_to_connect() {
    let fed = |answer: &str| feed(Way::Connect, Step::Greeting, answer.as_bytes());
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert_eq!(fed(answer), Ok(Progress::Open), "{answer}");
    }
    for (answer, words) in [
        (
            "HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n",
            "proxy: answered 407: user and password missing or not accepted",
        ),
        (
            "HTTP/1.1 403 No\r\n\r\n",
            "proxy: answered 403: not allowed by its rules",
        ),
        (
            "HTTP/1.1 502 Bad\r\n\r\n",
            "proxy: answered 502: can not reach the target",
        ),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "proxy: answered 302"),
        ("HTTP/1.1 101 Switching\r\n\r\n", "proxy: answered 101"),
        ("SSH-2.0-x\r\n", "proxy: answer is not HTTP"),
        ("HTTP/1.1 200 OK\nA: b\n\n", "proxy: line does not end with CR LF"),
    ] {
        assert_eq!(fed(answer).unwrap_err().to_string(), words, "{answer}");
    }
    assert_eq!(fed("HTTP/1.1 200 OK\r\n"), Ok(Progress::NeedMore));
}

/// A head without end, and interim heads without end, are bounded.
#[test]
fn an_endless_answer_is_refused() {
    let mut long = Bytes::from(*b"HTTP/1.1 200 OK\r\nA: ");
    long.resize(HTTP_HEAD_BYTES_MAX + 1, b'a');
    let mut response = Response::new();
    let answer = Tunnel::new(Way::Connect).feed(&long, &mut response);
    assert_eq!(answer, Err(Fault::NotHttp(http::Fault::HeadTooLong)));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
    response.reset();
    let answer = Tunnel::new(Way::Connect).feed(interim.as_bytes(), &mut response);
    assert_eq!(answer, Err(Fault::NotHttp(http::Fault::TooManyInterimHeads)));
}

/// A login is shown when it is asked for, and the answer may name any address, of any kind.
#[test]
fn answers_of_socks() {
    let mut tunnel = Tunnel::new(Way::SocksLogin);
    let mut response = Response::new();
    assert_eq!(tunnel.feed(&[5], &mut response), Ok(Progress::NeedMore));
    assert_eq!(tunnel.feed(&[2], &mut response), Ok(Progress::Say));
    assert_eq!(said(&tunnel, LOGIN, API)[0], 1);
    assert_eq!(tunnel.feed(&[1, 0], &mut response), Ok(Progress::Say));
    assert_eq!(said(&tunnel, LOGIN, API)[0], 5);
    let answer = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(tunnel.feed(&answer, &mut response), Ok(Progress::Open));
    let v6 = [&[5, 0, 0, 4][..], &[0; 18]].concat();
    let named = [&[5, 0, 0, 3, 3][..], b"abc", &[0; 2]].concat();
    let nameless = [5, 0, 9, 3, 0, 0, 0];
    for whole in [&answer[..], &v6, &named, &nameless] {
        assert_eq!(
            feed(Way::Socks, Step::Target, whole),
            Ok(Progress::Open),
            "{whole:?}"
        );
        for short in 0..whole.len() {
            let cut = feed(Way::Socks, Step::Target, &whole[..short]);
            assert_eq!(cut, Ok(Progress::NeedMore), "{whole:?} cut at {short}");
        }
        let long = [whole, &[7]].concat();
        assert_eq!(
            feed(Way::Socks, Step::Target, &long),
            Err(Fault::Surplus),
            "{long:?}"
        );
    }
}

/// What a SOCKS5 proxy refuses, and what is none, are reasons in words; a login that was not offered is not shown.
#[test]
fn refusals_of_socks() {
    for (step, answer, fault) in [
        (Step::Greeting, &[4, 0][..], Fault::NotSocks),
        (Step::Greeting, b"HTTP/1.1", Fault::NotSocks),
        (Step::Greeting, &[5, 0xff], Fault::Login),
        (Step::Greeting, &[5, 2], Fault::Login),
        (Step::Greeting, &[5, 1], Fault::Login),
        (Step::Greeting, &[5, 0, 5], Fault::Surplus),
        (Step::Password, &[1, 1], Fault::Password),
        (Step::Password, &[5, 0], Fault::NotSocks),
        (Step::Target, &[4, 0], Fault::NotSocks),
        (Step::Target, &[5, 0, 0, 2], Fault::NotSocks),
        (Step::Target, &[5, 2], Fault::Refused(2)),
        (Step::Target, &[5, 0xff], Fault::Refused(0xff)),
    ] {
        assert_eq!(feed(Way::Socks, step, answer), Err(fault), "{answer:?}");
    }
    for code in 1..=255 {
        let words = Fault::Refused(code).to_string();
        assert!(words.starts_with("proxy: "), "{words}");
        assert_eq!(words.contains(&format!("code {code}")), code > 6, "{words}");
    }
}
