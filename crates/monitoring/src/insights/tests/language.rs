//! What each part of the language does.

use super::{Line, check, lines, logs, run, written};

/// One row with these fields, as JSON.
async fn values(json: &str, expressions: &str) -> Vec<String> {
    let query = format!("display {expressions}");
    written(&run(logs(&lines(&[json])), None, &query).await)[1]
        .split(" | ")
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn arithmetic_is_on_numbers_that_texts_say() {
    let row = r#"{"a":"7","b":2,"c":"x"}"#;
    let found =
        values(row, "a + b, a - b, a * b, a / b, a % b, 2 ^ 3 ^ 2, -b ^ 2, c + 1, 1 + 2 * 3").await;
    assert_eq!(found, ["9", "5", "14", "3.5", "1", "512", "-4", "–", "7"]);
}

#[tokio::test]
async fn functions_of_numbers() {
    let row = r#"{"a":-2.5,"b":9}"#;
    let found =
        values(row, "abs(a), ceil(a), floor(a), greatest(a, b, 3), least(a, b), log(1), sqrt(b)")
            .await;
    assert_eq!(found, ["2.5", "-2", "-3", "9", "-2.5", "0", "3"]);
}

#[tokio::test]
async fn functions_of_texts() {
    let row = r#"{"a":"xyZfooxyZ","b":"  pad\t","c":"","d":"  "}"#;
    let found = values(
        row,
        "ltrim(a, 'xyZ'), rtrim(a, 'xyZ'), trim(a, 'xyZ'), trim(b), strlen(a), toupper(a), \
         tolower(a), substr(a, 3, 3), substr(a, 6), replace(a, 'xyZ', '-'), strcontains(a, 'foo'), \
         strcontains(a, 'bar'), concat(a, '+', missing, 1)",
    )
    .await;
    assert_eq!(
        found,
        [
            "fooxyZ",
            "xyZfoo",
            "foo",
            "pad",
            "9",
            "XYZFOOXYZ",
            "xyzfooxyz",
            "foo",
            "xyZ",
            "-foo-",
            "1",
            "0",
            "xyZfooxyZ+1"
        ]
    );
    let found = values(row, "isempty(c), isempty(d), isblank(d), isempty(missing), ispresent(a), ispresent(missing), coalesce(missing, c, a)").await;
    assert_eq!(found, ["true", "false", "true", "true", "true", "false", ""]);
}

#[tokio::test]
async fn functions_of_moments() {
    let found = values(
        r#"{"at":"2026-11-27T05:47:31Z","ms":1795755600000}"#,
        "datefloor(at, 1h), dateceil(at, 1h), dateceil(ms, 1h), fromMillis(ms), toMillis(@timestamp), now(), bin(15min), datefloor(at, 1mo), datefloor(at, 1q), datefloor(at, 1w)",
    )
    .await;
    assert_eq!(
        found,
        [
            "2026-11-27T05:00:00Z",
            "2026-11-27T06:00:00Z",
            "2026-11-27T05:00:00Z",
            "2026-11-27T05:00:00Z",
            "1795755600000",
            "1795759200",
            "2026-11-27T05:00:00Z",
            "2026-11-01T00:00:00Z",
            "2026-10-01T00:00:00Z",
            "2026-11-26T00:00:00Z"
        ]
    );
}

#[tokio::test]
async fn functions_of_addresses() {
    let found = values(
        r#"{"a":"10.1.2.3","b":"2001:db8::1"}"#,
        "isValidIp(a), isValidIpv4(b), isValidIpv6(b), isIpInSubnet(a, '10.0.0.0/8'), isIpv4InSubnet(b, '2001:db8::/32'), isIpv6InSubnet(b, '2001:db8::/32')",
    )
    .await;
    assert_eq!(found, ["true", "false", "true", "true", "false", "true"]);
}

#[tokio::test]
async fn functions_of_json() {
    let row = r#"{"inner":"{\"a\":[1,{\"b\":\"c\"}]}","n":1}"#;
    let found = values(row, "jsonParse(inner) as j, jsonStringify(n), jsonStringify(inner)").await;
    assert_eq!(found, [r#"{"a":[1,{"b":"c"}]}"#, "1", r#"{"a":[1,{"b":"c"}]}"#]);
    let query = "fields jsonParse(inner) as j | display j.a.1.b, j.a.0 + 1, j.missing";
    check(&lines(&[row]), query, &["j.a.1.b | j.a.0 + 1 | j.missing", "c | 2 | –"]).await;
    let row = r#"{"users":[{"action":"GetData"},{"action":"PutData"}],"special.char":{"x y":7}}"#;
    let query = "fields jsonParse(@message) as j | filter j.users[1].action = 'PutData' and users[0].action in['GetData']
        | display j.`special.char`.`x y` as x, users[1].action";
    check(&lines(&[row]), query, &["x | users.1.action", "7 | PutData"]).await;
}

#[tokio::test]
async fn comparisons_take_both_sides_as_what_they_are() {
    let row = r#"{"n":"0200","m":200,"t":"abc","flag":true,"off":false}"#;
    for (condition, holds) in [
        ("n = 200", true),
        ("n = '200'", false),
        ("n = m", true),
        ("t != 200", true),
        ("t = 200", false),
        ("n > '199'", true),
        ("t > 'abb'", true),
        ("t < 5", false),
        ("flag = 1", true),
        ("flag = true", true),
        ("flag = 'true'", true),
        ("flag and not off", true),
        ("off", false),
        ("n in [100, 200]", true),
        ("t in ['x', 'abc']", true),
        ("t in [1, 'abc']", true),
        ("t not in ['x']", true),
        ("t in []", false),
        ("missing = 1", false),
        ("missing != 1", false),
        ("not ispresent(missing)", true),
        ("t like 'b'", true),
        ("t like 'B'", false),
        ("t like /(?i)B/", true),
        ("t =~ /^a.c$/", true),
        ("t not like /^a.c$/", false),
        ("t =~ '.'", false),
        ("n == 200 and (t = 'x' or t = 'abc')", true),
        ("not n = 200", false),
        ("m / 2 = 100", true),
        ("m = 50 * 4", true),
    ] {
        let query = format!("filter {condition} | stats count(*) as n");
        let count = if holds { "1" } else { "0" };
        check(&lines(&[row]), &query, &["n", count]).await;
    }
}

#[tokio::test]
async fn fields_are_columns_first_then_attributes_then_members_of_the_text() {
    let line = Line {
        body: r#"{"service":"of the text","http.route":"of the text","user":{"id":7}}"#,
        service: "of the column",
        attributes: &[("http.route", "of the attributes"), ("quota", "9")],
        ..Line::default()
    };
    let query = "display service, @logStream, @message.service, http.route, attributes.quota, quota, user.id, nothing";
    let expected = [
        "service | @logStream | @message.service | http.route | attributes.quota | quota | user.id | nothing",
        "of the column | of the column | of the text | of the attributes | 9 | 9 | 7 | –",
    ];
    check(&[line], query, &expected).await;
}

#[tokio::test]
async fn fields_add_up_and_display_replaces_them() {
    let row = [r#"{"a":1,"b":2,"c":3}"#];
    check(&lines(&row), "fields a | fields b, a", &["a | b", "1 | 2"]).await;
    check(&lines(&row), "fields a | display b | fields c", &["b | c", "2 | 3"]).await;
    check(&lines(&row), "fields a + b as a | filter a = 3", &["a", "3"]).await;
    let expected = ["@timestamp | @message", r#"2026-11-27T05:00:00Z | {"a":1,"b":2,"c":3}"#];
    check(&lines(&row), "filter c = 3 # what is not shown may be used\n# a comment", &expected)
        .await;
    check(&lines(&row), "FIELDS a AS `a name` | DISPLAY `a name`", &["a name", "1"]).await;
}

#[tokio::test]
async fn rows_are_sorted_as_cloudwatch_sorts_them() {
    let rows = lines(&[r#"{"a":"10"}"#, r#"{"a":"9"}"#, r#"{"a":"x10"}"#, r#"{"a":"x9"}"#, "{}"]);
    check(&rows, "fields a | sort a", &["a", "x9", "x10", "9", "10", "–"]).await;
    check(&rows, "fields a | sort a desc", &["a", "10", "9", "x10", "x9", "–"]).await;
    check(&rows, "sort strlen(a) asc, a desc | display a | limit 2", &["a", "9", "10"]).await;
    check(&rows, "fields a | limit 2", &["a", "–", "x9"]).await;
}

#[tokio::test]
async fn an_order_is_kept_through_the_commands_after_it() {
    let rows = lines(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, r#"{"a":4}"#]);
    let query = "sort a desc | filter a != 3 | fields a * 10 as b | limit 2 | filter b > 0";
    check(&rows, query, &["b", "40", "20"]).await;
}

#[tokio::test]
async fn aggregations() {
    let rows = lines(&[
        r#"{"k":"a","v":1,"t":"b2"}"#,
        r#"{"k":"a","v":"3","t":"b10"}"#,
        r#"{"k":"a","v":"none"}"#,
        r#"{"k":"b","v":5,"t":"z"}"#,
    ]);
    let query = "stats count(*), count(v), count_distinct(k), sum(v), avg(v), min(v), max(v)";
    let expected = [
        "count(*) | count(v) | count_distinct(k) | sum(v) | avg(v) | min(v) | max(v)",
        "4 | 4 | 2 | 9 | 3 | 1 | 5",
    ];
    check(&rows, query, &expected).await;
    let query = "stats stddev(v) as s, median(v) as m, sortsFirst(t) as f, sortsLast(t) as l, earliest(v) as e by k";
    let expected = [
        "k | s | m | f | l | e",
        "a | 1.4142135623730951 | 2 | b2 | b10 | 1",
        "b | – | 5 | z | z | 5",
    ];
    check(&rows, query, &expected).await;
}

#[tokio::test]
async fn what_is_computed_of_aggregations_may_use_what_stands_before_it() {
    let rows = lines(&[r#"{"v":1}"#, r#"{"v":5}"#]);
    let query = "stats max(v) - min(v) as range, range * 2 as twice, sum(v) / count(*) as mean, ceil(avg(v)) as up by bin(1h) as hour, 'x' as fixed
        | fields twice + 1 as odd | sort hour";
    let expected = [
        "hour | fixed | range | twice | mean | up | odd",
        "2026-11-27T05:00:00Z | x | 4 | 8 | 3 | 3 | 9",
    ];
    check(&rows, query, &expected).await;
    let query = "stats count(*) as n by bin(1h) | fields bin(1h) as n";
    check(&rows, query, &["bin(1h) | n", "2026-11-27T05:00:00Z | 2026-11-27T05:00:00Z"]).await;
    let query = "stats count(*) by bin( 1m ) | sort bin(1m) desc | limit 1";
    check(&rows, query, &["bin( 1m ) | count(*)", "2026-11-27T05:01:00Z | 1"]).await;
}

#[tokio::test]
async fn stats_of_nothing() {
    check(&[], "stats count(*), sum(x)", &["count(*) | sum(x)", "0 | –"]).await;
    check(&[], "stats count(*) by x", &["x | count(*)"]).await;
    check(&[], "fields @timestamp", &["@timestamp"]).await;
}

#[tokio::test]
async fn no_more_than_ten_thousand_rows_are_given_unless_a_limit_says_so() {
    let rows: Vec<_> = (0..10_050).map(|at| Line { at, body: "x", ..Line::default() }).collect();
    let count = async |query: &str| run(logs(&rows), None, query).await.rows();
    assert_eq!(count("fields @message").await, 10_000);
    assert_eq!(count("fields @message | limit 10020").await, 10_020);
    assert_eq!(count("fields @message | limit 3").await, 3);
}

#[tokio::test]
async fn parse_keeps_rows_that_do_not_match() {
    let rows = lines(&["user=ann id=1", "nothing here"]);
    let expected = ["user | id", "– | –", "ann | 1"];
    check(&rows, "parse \"user=* id=*\" as user, id", &expected).await;
    let query = "parse @message /id=(\\d+)/ as id | filter ispresent(id) | display id + 1 as next";
    check(&rows, query, &["next", "2"]).await;
}
