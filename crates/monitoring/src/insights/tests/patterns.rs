//! `pattern` and `diff`.

use super::{Line, check, lines, logs, run, written};

#[tokio::test]
async fn lines_that_differ_in_numbers_and_names_are_one_pattern() {
    let rows = lines(&[
        "ERROR: order 17 of user ann failed after 12.5 ms",
        "ERROR: order 18 of user bob failed after 7 ms",
        "connected to 10.0.0.1:443",
        "ERROR: order 19 of user ann failed after 3 ms",
        "2026-11-27T05:00:00Z heartbeat",
    ]);
    let expected = [
        "@pattern | @ratio | @sampleCount | @severityLabel",
        "ERROR: order <Number-1> of user <Token-2> failed after <Number-3> ms | 0.6 | 3 | ERROR",
        "<Time-1> heartbeat | 0.2 | 1 | –",
        "connected to <IP-1>:<Number-2> | 0.2 | 1 | –",
    ];
    check(&rows, "pattern @message", &expected).await;
    let query = "filter @message like 'ERROR' | pattern @message | sort @sampleCount desc | limit 1 | display @pattern, @sampleCount";
    let expected = [
        "@pattern | @sampleCount",
        "ERROR: order <Number-1> of user <Token-2> failed after <Number-3> ms | 3",
    ];
    check(&rows, query, &expected).await;
}

#[tokio::test]
async fn patterns_are_bounded() {
    let bodies: Vec<_> = (0..3_000)
        .map(|n: u32| {
            // Words of letters only, all different.
            let word = |n: u32| {
                n.to_string().bytes().map(|d| char::from(b'a' + d - b'0')).collect::<String>()
            };
            format!("{} {}", word(n), word(n + 7_000))
        })
        .collect();
    let rows: Vec<_> = bodies.iter().map(|body| Line { body, ..Line::default() }).collect();
    let results = run(logs(&rows), None, "pattern @message | limit 10000").await;
    // Two halves of the table may each find as many before they are put together.
    assert!(results.rows() <= 1_000, "{}", results.rows());
    let total: i64 = results.json().iter().map(|row| row["@sampleCount"].as_i64().unwrap()).sum();
    assert_eq!(total, 3_000);
}

#[tokio::test]
async fn a_difference_tells_new_and_gone_patterns() {
    let now = lines(&["timeout after 5 s", "timeout after 9 s", "out of memory", "ok"]);
    let before = lines(&["timeout after 1 s", "ok", "all is well today"]);
    let expected = [
        "@pattern | @sampleCount | @previousCount | @difference | @differenceDescription | @severityLabel",
        "all is well today | 0 | 1 | -1 | Gone | –",
        "out of memory | 1 | 0 | 1 | New | –",
        "timeout after <Number-1> s | 2 | 1 | 1 | More | –",
        "ok | 1 | 1 | 0 | Same | –",
    ];
    let found = run(logs(&now), Some(logs(&before)), "diff previousDay").await;
    assert_eq!(written(&found), expected);
    let query =
        "filter @message like 'timeout' | pattern @message | diff | display @pattern, @difference";
    let found = run(logs(&now), Some(logs(&before)), query).await;
    let expected = ["@pattern | @difference", "timeout after <Number-1> s | 1"];
    assert_eq!(written(&found), expected);
}
