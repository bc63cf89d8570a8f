//! What a provider may do wrong, fault by fault, in both dialects.

use std::time::{Duration, Instant};

use models::{ErrorKind, ProviderError, ProviderKind, Stage, Timeouts};

use crate::canned::{
    Step, chunk, events, events_head, healthy, healthy_events, json, pieces, response,
};
use crate::{LIMITS, answers, fails, fails_with};

const KINDS: [ProviderKind; 2] = [ProviderKind::Openai, ProviderKind::Anthropic];

fn refused(error: ProviderError) -> (u16, ErrorKind, Option<Duration>) {
    match error {
        ProviderError::Refused { status, kind, retry_after, .. } => (status, kind, retry_after),
        other => panic!("no refusal: {other:?}"),
    }
}

fn send(bytes: Vec<u8>) -> Vec<Step> {
    vec![Step::Send(bytes)]
}

#[tokio::test]
async fn a_status_is_a_refusal_of_its_kind_with_the_wait_it_asks_for() {
    let cases = [
        (429, "retry-after: 2\r\n", ErrorKind::RateLimit, Some(Duration::from_secs(2))),
        (429, "", ErrorKind::RateLimit, None),
        (500, "", ErrorKind::Server, None),
        (503, "", ErrorKind::Overloaded, None),
        (529, "", ErrorKind::Overloaded, None),
        (401, "", ErrorKind::Authentication, None),
    ];
    for kind in KINDS {
        for stream in [false, true] {
            for (status, headers, expected, wait) in cases {
                let body = "{\"error\":{\"message\":\"no\",\"type\":\"x\"}}";
                let error = fails(kind, stream, send(response(status, headers, body))).await;
                assert_eq!(refused(error), (status, expected, wait));
            }
        }
    }
}

#[tokio::test]
async fn an_html_error_page_is_judged_by_its_status_and_not_quoted() {
    for kind in KINDS {
        let page = response(502, "content-type: text/html\r\n", "<html>nginx secret</html>");
        let error = fails(kind, true, send(page)).await;
        assert!(!error.to_string().contains("nginx"), "{error}");
        assert_eq!(refused(error), (502, ErrorKind::Server, None));
    }
}

#[tokio::test]
async fn a_reset_before_the_head_may_have_been_billed() {
    for kind in KINDS {
        let error = fails(kind, true, vec![Step::Reset]).await;
        assert!(matches!(error, ProviderError::Transport { sent: true, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn silence_before_the_head_ends_at_the_first_byte_limit() {
    for kind in KINDS {
        let begun = Instant::now();
        let error = fails(kind, true, vec![Step::Silence]).await;
        let stage = Stage::FirstByte;
        let limit = Duration::from_millis(LIMITS.first_byte_ms);
        assert!(
            matches!(error, ProviderError::Timeout { stage: s, limit: l } if s == stage && l == limit)
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_head_that_dribbles_ends_at_the_first_byte_limit() {
    let steps = vec![
        Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Step::Repeat(b"a: b\r\n".to_vec(), Duration::from_millis(60)),
    ];
    let error = fails(ProviderKind::Openai, true, steps).await;
    assert!(matches!(error, ProviderError::Timeout { stage: Stage::FirstByte, .. }), "{error:?}");
}

#[tokio::test]
async fn comments_and_pings_are_no_first_token() {
    let limits = Timeouts { first_token_ms: Some(400), ..LIMITS };
    for (kind, ping) in
        KINDS.into_iter().zip([": ping\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n"])
    {
        let steps =
            vec![Step::Send(events_head()), Step::Repeat(chunk(ping), Duration::from_millis(60))];
        let error = fails_with(kind, true, steps, limits).await;
        assert!(
            matches!(error, ProviderError::Timeout { stage: Stage::FirstToken, .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_cut_off_and_never_complete() {
    for kind in KINDS {
        let [first, second, ..] = pieces(kind);
        let begun = [events_head(), chunk(&first), chunk(&second)].concat();
        let clean = [begun.clone(), b"0\r\n\r\n".to_vec()].concat();
        for steps in [send(begun.clone()), vec![Step::Send(begun), Step::Reset], send(clean)] {
            let error = fails(kind, true, steps).await;
            assert!(matches!(error, ProviderError::Truncated { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn silence_in_the_middle_ends_at_the_idle_limit() {
    for kind in KINDS {
        let [first, ..] = pieces(kind);
        let begun = [events_head(), chunk(&first)].concat();
        let error = fails(kind, true, vec![Step::Send(begun), Step::Silence]).await;
        assert!(matches!(error, ProviderError::Timeout { stage: Stage::Idle, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_finish_reason_makes_an_answer_complete_without_the_terminator() {
    for kind in KINDS {
        let [first, second, end, _] = pieces(kind);
        let text = [first, second, end].concat();
        let open = [events_head(), chunk(&text)].concat();
        for steps in
            [send(events(&text)), send(open.clone()), vec![Step::Send(open), Step::Silence]]
        {
            let answer = answers(kind, true, steps).await;
            let usage = answer.usage.unwrap();
            assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated), (9, 6, false));
        }
    }
}

#[tokio::test]
async fn a_broken_event_is_left_out_and_counted() {
    for kind in KINDS {
        let [first, second, end, done] = pieces(kind);
        let text = [&first, "data: {\"choices\": [{\"de\n\n", &second, &end, &done].concat();
        assert_eq!(answers(kind, true, send(events(&text))).await.dropped_events, 1);
    }
}

#[tokio::test]
async fn context_length_and_content_policy_are_told_apart() {
    let openai = |code: &str| {
        response(
            400,
            "",
            &format!(
                "{{\"error\":{{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":\"messages\",\"code\":\"{code}\"}}}}"
            ),
        )
    };
    let anthropic = |message: &str| {
        response(
            400,
            "",
            &format!(
                "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"{message}\"}}}}"
            ),
        )
    };
    for (kind, body, expected) in [
        (ProviderKind::Openai, openai("context_length_exceeded"), ErrorKind::ContextLength),
        (ProviderKind::Openai, openai("content_filter"), ErrorKind::ContentPolicy),
        (ProviderKind::Anthropic, anthropic("prompt is too long: 9 > 8"), ErrorKind::ContextLength),
        (
            ProviderKind::Anthropic,
            anthropic("Output blocked by content filtering policy"),
            ErrorKind::ContentPolicy,
        ),
    ] {
        assert_eq!(refused(fails(kind, true, send(body)).await), (400, expected, None));
    }
}

#[tokio::test]
async fn json_that_is_cut_short_of_its_length_is_never_parsed() {
    for kind in KINDS {
        let mut whole = json(&healthy(kind));
        whole.truncate(whole.len() - 1);
        let error = fails(kind, false, send(whole)).await;
        assert!(matches!(error, ProviderError::Transport { sent: true, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_empty_success_is_an_error() {
    for kind in KINDS {
        for body in [
            response(200, "", ""),
            json(""),
            json("{}"),
            events(""),
            events("data: [DONE]\n\n"),
            events(": ping\n\n"),
        ] {
            let error = fails(kind, true, send(body)).await;
            let clean =
                matches!(error, ProviderError::Truncated { .. } | ProviderError::Protocol { .. });
            assert!(clean, "{error:?}");
        }
    }
}

#[tokio::test]
async fn the_form_of_an_answer_is_judged_by_the_answer() {
    for kind in KINDS {
        let stream = healthy_events(kind);
        answers(kind, true, send(json(&healthy(kind)))).await;
        answers(kind, false, send(events(&stream))).await;
        answers(kind, true, send(response(200, "", &stream))).await;
        answers(kind, false, send(response(200, "content-type: text/plain\r\n", &healthy(kind))))
            .await;
        let page = response(200, "content-type: text/html\r\n", "<html>sign in</html>");
        let error = fails(kind, true, send(page)).await;
        assert!(matches!(error, ProviderError::Protocol { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_error_inside_a_success_is_a_refusal() {
    let openai = "{\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"code\":\"rate_limit_exceeded\"}}";
    let anthropic =
        "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"busy\"}}";
    for (kind, error) in KINDS.into_iter().zip([openai, anthropic]) {
        let [first, ..] = pieces(kind);
        for body in [json(error), events(&format!("{first}event: error\ndata: {error}\n\n"))] {
            let error = fails(kind, true, send(body)).await;
            assert_eq!(refused(error), (429, ErrorKind::RateLimit, None));
        }
    }
}
