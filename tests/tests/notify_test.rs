//! `watchdog notify-test`: whatever is wrong, a sentence says what to do about it.

use watchdog_tests::fake::{FakeTelegram, TelegramAnswer};
use watchdog_tests::harness::{Setup, each_at_once};

const NAMED: &str = "telegram: getMe: ok, the bot is @test_bot";

/// Runs it: exit status and the lines of stdout.
fn tested(setup: &Setup) -> (Option<i32>, Vec<String>) {
    let output = setup.clone().argument("notify-test").output();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(str::to_owned).collect())
}

/// All is well: who the bot is, then that the message was delivered.
#[test]
fn what_is_well_is_said() {
    let telegram = FakeTelegram::start();
    let (status, lines) = tested(&Setup::quiet().telegram(&telegram));
    assert_eq!(lines, [NAMED, "telegram: sendMessage: ok, delivered"]);
    assert_eq!(status, Some(0));
}

/// A token that is not taken: the bot's name is asked for first, and no message is tried.
#[test]
fn a_wrong_token_is_explained() {
    let cases = [
        (
            "telegram: getMe: http 401: Unauthorized; the token is wrong: copy it again from @BotFather into \
             WATCHDOG_TELEGRAM_TOKEN",
            TelegramAnswer::Status(401),
        ),
        (
            "telegram: getMe: http 404: Not Found; the token is wrong: copy it again from @BotFather into \
             WATCHDOG_TELEGRAM_TOKEN",
            TelegramAnswer::Status(404),
        ),
        (
            "telegram: getMe: http 404; whatever answers there is not the Bot API: see WATCHDOG_TELEGRAM_API_URL",
            TelegramAnswer::Html(404),
        ),
        (
            "telegram: getMe: http 200; whatever answers there is not the Bot API: see WATCHDOG_TELEGRAM_API_URL",
            TelegramAnswer::Html(200),
        ),
        (
            "telegram: getMe: http 500: Internal Server Error: restart; Telegram has a problem of its own: try again \
             later",
            TelegramAnswer::Status(500),
        ),
    ];
    each_at_once(&cases, |sentence, answer| {
        let telegram = FakeTelegram::start();
        telegram.identify(answer.clone());
        let (status, lines) = tested(&Setup::quiet().telegram(&telegram));
        assert_eq!(lines, [sentence]);
        assert_eq!(status, Some(1));
        assert!(telegram.attempts().is_empty());
    });
}

/// A chat that is not reached, each way with its own remedy.
#[test]
fn a_chat_out_of_reach_is_explained() {
    let cases = [
        (
            "telegram: sendMessage: http 400: Bad Request: chat not found; no such chat for this bot: write to it \
             first or add it to the group; ids of groups are negative, those of supergroups and channels begin with -100",
            TelegramAnswer::BadRequest("chat not found"),
        ),
        (
            "telegram: sendMessage: http 403: Forbidden: bot was blocked by the user; the person has blocked the bot: \
             they must open its chat and press Start",
            TelegramAnswer::Refused(403, "Forbidden: bot was blocked by the user"),
        ),
        (
            "telegram: sendMessage: http 403: Forbidden: bot can't initiate conversation with a user; nobody has \
             written to the bot yet: they must open its chat and press Start",
            TelegramAnswer::Refused(403, "Forbidden: bot can't initiate conversation with a user"),
        ),
        (
            "telegram: sendMessage: http 403: Forbidden: bot was kicked from the supergroup chat; the bot is not in \
             that chat: add it there, in a channel as an administrator",
            TelegramAnswer::Status(403),
        ),
        (
            "telegram: sendMessage: http 403: Forbidden: bot is not a member of the channel chat; the bot is not in \
             that chat: add it there, in a channel as an administrator",
            TelegramAnswer::Refused(403, "Forbidden: bot is not a member of the channel chat"),
        ),
        (
            "telegram: sendMessage: http 403: Forbidden: user is deactivated; that chat is gone: set \
             WATCHDOG_TELEGRAM_CHAT_ID to another one",
            TelegramAnswer::Refused(403, "Forbidden: user is deactivated"),
        ),
        (
            "telegram: sendMessage: http 400: Bad Request: not enough rights to send text messages to the chat; the \
             bot may not write there: allow it to, in a channel as an administrator",
            TelegramAnswer::BadRequest("not enough rights to send text messages to the chat"),
        ),
        (
            "telegram: sendMessage: http 429: Too Many Requests: retry after 30; too many messages to this chat: wait \
             and try again",
            TelegramAnswer::TooMany(30),
        ),
    ];
    each_at_once(&cases, |sentence, answer| {
        let telegram = FakeTelegram::start();
        telegram.always(answer.clone());
        let (status, lines) = tested(&Setup::quiet().telegram(&telegram));
        assert_eq!(lines, [NAMED, sentence]);
        assert_eq!(status, Some(1));
        assert_eq!(telegram.attempts().len(), 1);
    });
}

/// A group that moved and a topic that is gone: what to set, and the message arrives all the same.
#[test]
fn what_is_delivered_elsewhere_is_explained() {
    let cases = [
        (
            "telegram: sendMessage: http 400: Bad Request: group chat was upgraded to a supergroup chat; the group has \
             moved: set WATCHDOG_TELEGRAM_CHAT_ID=-1009999999999",
            TelegramAnswer::Migrated(-1_009_999_999_999),
        ),
        (
            "telegram: sendMessage: http 400: Bad Request: message thread not found; no such topic: \
             WATCHDOG_TELEGRAM_THREAD_ID is the id of its first message",
            TelegramAnswer::BadRequest("message thread not found"),
        ),
        (
            "telegram: sendMessage: http 400: Bad Request: TOPIC_CLOSED; the topic is closed: open it again or set \
             another WATCHDOG_TELEGRAM_THREAD_ID",
            TelegramAnswer::BadRequest("TOPIC_CLOSED"),
        ),
    ];
    each_at_once(&cases, |sentence, answer| {
        let telegram = FakeTelegram::start();
        telegram.next([answer.clone()]);
        let setup = Setup::quiet()
            .telegram(&telegram)
            .set("WATCHDOG_TELEGRAM_THREAD_ID", 77);
        let (status, lines) = tested(&setup);
        assert_eq!(lines, [NAMED, sentence, "telegram: sendMessage: ok, delivered"]);
        assert_eq!(status, Some(0));
        assert_eq!(telegram.messages().len(), 1);
    });
}

/// Nothing there, or a certificate that nobody vouches for: the reason, and where to look. The token is in no line.
#[test]
fn an_api_out_of_reach_is_explained() {
    let mut telegram = FakeTelegram::start();
    let untrusted = Setup::quiet().telegram(&telegram).unset("WATCHDOG_CA_FILE");
    let (status, lines) = tested(&untrusted);
    assert_eq!(status, Some(1));
    assert!(
        lines.len() == 1
            && lines[0].starts_with("telegram: getMe: ")
            && lines[0].contains("certificate")
            && lines[0].contains("WATCHDOG_CA_FILE"),
        "{lines:?}"
    );
    telegram.refuse();
    let (status, lines) = tested(&Setup::quiet().telegram(&telegram));
    assert_eq!(status, Some(1));
    assert_eq!(
        lines,
        [
            "telegram: getMe: connection refused; the Bot API could not be reached: see the reason, and \
          WATCHDOG_TELEGRAM_API_URL"
        ]
    );
}

/// `check` asks Telegram who the bot is, sends nothing, and shows the channel among the sources: well, or with what is wrong.
#[test]
fn check_shows_how_the_channel_fares() {
    let cases = [
        (r#""detail":"test_bot","ok":true,"source":"telegram""#, None),
        (
            r#""detail":"http 401: Unauthorized","ok":false,"source":"telegram""#,
            Some(TelegramAnswer::Status(401)),
        ),
    ];
    each_at_once(&cases, |shown, answer| {
        let telegram = FakeTelegram::start();
        if let Some(answer) = answer {
            telegram.identify(answer.clone());
        }
        let checked = Setup::quiet().telegram(&telegram).check();
        let sources = checked.document["sources"].to_string();
        assert!(sources.contains(shown), "{sources}");
        assert!(telegram.attempts().is_empty());
    });
    let checked = Setup::quiet().check();
    assert!(!checked.document["sources"].to_string().contains("telegram"));
}
