//! The sample queries of CloudWatch's documentation, each on lines as the service writes them.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-examples.html>. Where a
//! result is asked for by field names that AWS's own pages spell in several ways, either is taken.

use super::{Line, check, lines};

/// An access to three services, with two exceptions an hour apart.
const GENERAL: [Line<'static>; 4] = [
    Line { at: 0, body: "INFO started", service: "a", severity: "INFO", attributes: &[] },
    Line { at: 60, body: "java.lang.Exception: one", service: "a", severity: "", attributes: &[] },
    Line { at: 120, body: "java.lang.Exception: two", service: "b", severity: "", attributes: &[] },
    Line { at: 3_600, body: "java.lang.Exception: 3", service: "a", severity: "", attributes: &[] },
];

#[tokio::test]
async fn general_the_25_most_recent_events() {
    let query = "fields @timestamp, @message | sort @timestamp desc | limit 25";
    let expected = [
        "@timestamp | @message",
        "2026-11-27T06:00:00Z | java.lang.Exception: 3",
        "2026-11-27T05:02:00Z | java.lang.Exception: two",
        "2026-11-27T05:01:00Z | java.lang.Exception: one",
        "2026-11-27T05:00:00Z | INFO started",
    ];
    check(&GENERAL, query, &expected).await;
}

#[tokio::test]
async fn general_exceptions_per_hour() {
    let query = "filter @message like /Exception/ 
        | stats count(*) as exceptionCount by bin(1h)
        | sort exceptionCount desc";
    let expected =
        ["bin(1h) | exceptionCount", "2026-11-27T05:00:00Z | 2", "2026-11-27T06:00:00Z | 1"];
    check(&GENERAL, query, &expected).await;
}

#[tokio::test]
async fn general_events_that_are_no_exceptions() {
    let query = "fields @message | filter @message not like /Exception/";
    check(&GENERAL, query, &["@message", "INFO started"]).await;
}

#[tokio::test]
async fn general_the_newest_event_of_each_server() {
    let lines = lines(&[
        r#"{"server":"one","severity":"ERROR","message":"m1"}"#,
        r#"{"server":"two","severity":"INFO","message":"m2"}"#,
        r#"{"server":"one","severity":"WARN","message":"m3"}"#,
        r#"{"severity":"WARN","message":"no server"}"#,
    ]);
    let query = "fields @timestamp, server, message 
        | sort @timestamp asc 
        | dedup server";
    // Events without the field are like no others, and all kept.
    let expected = [
        "@timestamp | server | message",
        "2026-11-27T05:00:00Z | one | m1",
        "2026-11-27T05:01:00Z | two | m2",
        "2026-11-27T05:03:00Z | – | no server",
    ];
    check(&lines, query, &expected).await;
    let expected = [
        "@timestamp | server | message",
        "2026-11-27T05:03:00Z | – | no server",
        "2026-11-27T05:02:00Z | one | m3",
        "2026-11-27T05:01:00Z | two | m2",
    ];
    check(&lines, "fields @timestamp, server, message | dedup server", &expected).await;
}

/// Two reports of Lambda, and lines between.
fn lambda() -> Vec<Line<'static>> {
    lines(&[
        "START RequestId: r-1 Version: $LATEST",
        "REPORT RequestId: r-1\tDuration: 100.00 ms\tBilled Duration: 100 ms\tMemory Size: 128 MB\tMax Memory Used: 64 MB\tInit Duration: 250.50 ms\t",
        "END RequestId: r-1",
        "REPORT RequestId: r-2\tDuration: 50.00 ms\tBilled Duration: 51 ms\tMemory Size: 128 MB\tMax Memory Used: 80 MB\t",
        "unrelated",
        "unrelated",
        "REPORT RequestId: r-3\tDuration: 3000.50 ms\tBilled Duration: 3001 ms\tMemory Size: 128 MB\tMax Memory Used: 96 MB\t",
    ])
}

#[tokio::test]
async fn lambda_overprovisioned_memory() {
    let query = r#"filter @type = "REPORT"
        | stats max(@memorySize / 1000 / 1000) as provisionedMemoryMB,
            min(@maxMemoryUsed / 1000 / 1000) as smallestMemoryRequestMB,
            avg(@maxMemoryUsed / 1000 / 1000) as avgMemoryUsedMB,
            max(@maxMemoryUsed / 1000 / 1000) as maxMemoryUsedMB,
            provisionedMemoryMB - maxMemoryUsedMB as overProvisionedMB"#;
    let expected = [
        "provisionedMemoryMB | smallestMemoryRequestMB | avgMemoryUsedMB | maxMemoryUsedMB | overProvisionedMB",
        "128 | 64 | 80 | 96 | 32",
    ];
    check(&lambda(), query, &expected).await;
}

#[tokio::test]
async fn lambda_latency_report() {
    let query = r#"filter @type = "REPORT" |
        stats avg(@duration), max(@duration), min(@duration) by bin(5m)"#;
    let expected = [
        "bin(5m) | avg(@duration) | max(@duration) | min(@duration)",
        "2026-11-27T05:00:00Z | 75 | 100 | 50",
        "2026-11-27T05:05:00Z | 3000.5 | 3000.5 | 3000.5",
    ];
    check(&lambda(), query, &expected).await;
}

#[tokio::test]
async fn lambda_slow_invocations_without_duplicates() {
    let query = r#"fields @timestamp, @requestId, @message, @logStream 
        | filter @type = "REPORT" and @duration > 1000
        | sort @timestamp desc
        | dedup @requestId 
        | display @timestamp, @requestId, @duration
        | limit 20"#;
    let expected = ["@timestamp | @requestId | @duration", "2026-11-27T05:06:00Z | r-3 | 3000.5"];
    check(&lambda(), query, &expected).await;
}

#[tokio::test]
async fn lambda_share_of_cold_starts() {
    let query = r#"filter @type = "REPORT"
        | stats sum(strcontains(@message, "Init Duration")) / count(*) * 100 as coldStartPct,
            avg(@duration) by bin(5m)"#;
    let expected = [
        "bin(5m) | coldStartPct | avg(@duration)",
        "2026-11-27T05:00:00Z | 50 | 75",
        "2026-11-27T05:05:00Z | 0 | 3000.5",
    ];
    check(&lambda(), query, &expected).await;
}

#[tokio::test]
async fn lambda_billed_invocations_and_percentiles() {
    let query = r#"filter @type = "REPORT" | fields @requestId, @billedDuration
        | sort by @billedDuration desc | limit 2"#;
    check(&lambda(), query, &["@requestId | @billedDuration", "r-3 | 3001", "r-1 | 100"]).await;
    let query = r#"filter @type = "REPORT" | stats percentile(@billedDuration, 50) as middle,
        pct(@billedDuration, 100) as most, count_distinct(@requestId) as invocations"#;
    check(&lambda(), query, &["middle | most | invocations", "100 | 3001 | 3"]).await;
}

/// Flow logs in the default format, version 2.
fn flows() -> Vec<Line<'static>> {
    lines(&[
        "2 123456789010 eni-1 10.0.0.1 10.0.0.9 443 50001 6 10 4000 1418530010 1418530070 ACCEPT OK",
        "2 123456789010 eni-1 10.0.0.1 10.0.0.9 443 50002 6 15 600 1418530010 1418530070 ACCEPT OK",
        "2 123456789010 eni-1 192.0.2.7 10.0.0.9 53 50003 17 2 120 1418530010 1418530070 REJECT OK",
        "2 123456789010 eni-1 192.0.2.7 10.0.0.8 53 50003 17 4 9000 1418530010 1418530070 ACCEPT OK",
        "2 123456789010 eni-1 - - - - - - - 1418530010 1418530070 - SKIPDATA",
    ])
}

#[tokio::test]
async fn vpc_top_packet_transfers() {
    let query = "stats sum(packets) as packetsTransferred by srcAddr, dstAddr
        | sort packetsTransferred  desc
        | limit 15";
    let expected = [
        "srcAddr | dstAddr | packetsTransferred",
        "10.0.0.1 | 10.0.0.9 | 25",
        "192.0.2.7 | 10.0.0.8 | 4",
        "192.0.2.7 | 10.0.0.9 | 2",
        "– | – | –",
    ];
    check(&flows(), query, &expected).await;
}

#[tokio::test]
async fn vpc_top_byte_transfers_from_a_subnet() {
    let query = r#"filter isIpv4InSubnet(srcAddr, "192.0.2.0/24")
        | stats sum(bytes) as bytesTransferred by dstAddr
        | sort bytesTransferred desc
        | limit 15"#;
    let expected = ["dstAddr | bytesTransferred", "10.0.0.8 | 9000", "10.0.0.9 | 120"];
    check(&flows(), query, &expected).await;
}

#[tokio::test]
async fn vpc_addresses_that_use_udp() {
    let query = "filter protocol=17 | stats count(*) by srcAddr";
    check(&flows(), query, &["srcAddr | count(*)", "192.0.2.7 | 2"]).await;
}

#[tokio::test]
async fn vpc_skipped_records() {
    let query = r#"filter logStatus="SKIPDATA"
        | stats count(*) by bin(1h) as t
        | sort t"#;
    check(&flows(), query, &["t | count(*)", "2026-11-27T05:00:00Z | 1"]).await;
}

#[tokio::test]
async fn vpc_one_record_of_each_address_and_port() {
    let query = "fields @timestamp, srcAddr, dstAddr, srcPort, dstPort, protocol, bytes
        | filter dstAddr like \"10.\"
        | dedup srcAddr, dstAddr
        | display srcAddr, dstAddr, bytes";
    let expected = [
        "srcAddr | dstAddr | bytes",
        "192.0.2.7 | 10.0.0.8 | 9000",
        "192.0.2.7 | 10.0.0.9 | 120",
        "10.0.0.1 | 10.0.0.9 | 600",
    ];
    check(&flows(), query, &expected).await;
}

#[tokio::test]
async fn vpc_custom_format_by_parse() {
    let lines = lines(&["123456789010 vpc-1 eni-9 10.0.0.1 10.0.0.2 ACCEPT 99", "too short"]);
    let query = r#"parse @message "* * * * * * *" as account_id, vpc_id, interface_id, srcaddr, dstaddr, action, bytes
        | stats sum(bytes) as total by srcaddr, action
        | filter ispresent(srcaddr)"#;
    check(&lines, query, &["srcaddr | action | total", "10.0.0.1 | ACCEPT | 99"]).await;
    let query =
        "parse @message /(?<NetworkInterface>eni-.*?) / | display NetworkInterface, @message
        | sort NetworkInterface";
    let expected = [
        "NetworkInterface | @message",
        "eni-9 | 123456789010 vpc-1 eni-9 10.0.0.1 10.0.0.2 ACCEPT 99",
        "– | too short",
    ];
    check(&lines, query, &expected).await;
}

/// Queries to Route 53.
fn route_53() -> Vec<Line<'static>> {
    lines(&[
        "1.0 2026-11-27T05:00:00Z Z1 a.example.com A NOERROR UDP FRA6 192.168.1.1 -",
        "1.0 2026-11-27T05:01:00Z Z1 a.example.com AAAA NOERROR TCP IAD12 192.168.3.1 192.168.222.0/24",
        "1.0 2026-11-27T05:02:00Z Z1 b.example.com A SERVFAIL UDP FRA6 192.168.1.1 -",
        "1.0 2026-11-27T05:03:00Z Z1 b.example.com A SERVFAIL UDP FRA6 192.168.1.2 -",
    ])
}

#[tokio::test]
async fn route_53_records_per_hour_by_type() {
    let expected = [
        "queryType | bin(1h) | count(*)",
        "A | 2026-11-27T05:00:00Z | 3",
        "AAAA | 2026-11-27T05:00:00Z | 1",
    ];
    check(&route_53(), "stats count(*) by queryType, bin(1h)", &expected).await;
}

#[tokio::test]
async fn route_53_resolvers_with_most_requests() {
    let query = "stats count(*) as numRequests by resolverIp
        | sort numRequests desc
        | limit 1";
    check(&route_53(), query, &["resolverIp | numRequests", "192.168.1.1 | 2"]).await;
}

#[tokio::test]
async fn route_53_failures_by_name() {
    let query = r#"filter responseCode="SERVFAIL" | stats count(*) by queryName"#;
    check(&route_53(), query, &["queryName | count(*)", "b.example.com | 2"]).await;
}

/// Events of CloudTrail.
fn cloudtrail() -> Vec<Line<'static>> {
    lines(&[
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"StartInstances","awsRegion":"us-east-2","requestParameters":{"instancesSet":{"items":[{"instanceId":"i-abcde123"}]}}}"#,
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"StopInstances","awsRegion":"us-west-1"}"#,
        r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-2","requestParameters":{"userName":"ann"},"responseElements":{"user":{"arn":"arn:aws:iam::1:user/ann"}}}"#,
        r#"{"eventSource":"cloudtrail.amazonaws.com","eventName":"UpdateTrail","awsRegion":"us-east-2","errorCode":"TrailNotFoundException","errorMessage":"Unknown trail"}"#,
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"StartInstances","awsRegion":"us-east-2","tlsDetails":{"tlsVersion":"TLSv1.1"},"userIdentity":{"sessionContext":{"sessionIssuer":{"userName":"root"}}}}"#,
    ])
}

#[tokio::test]
async fn cloudtrail_entries_by_service_event_and_region() {
    let expected = [
        "eventSource | eventName | awsRegion | count(*)",
        "cloudtrail.amazonaws.com | UpdateTrail | us-east-2 | 1",
        "ec2.amazonaws.com | StartInstances | us-east-2 | 2",
        "ec2.amazonaws.com | StopInstances | us-west-1 | 1",
        "iam.amazonaws.com | CreateUser | us-east-2 | 1",
    ];
    let query = "stats count(*) by eventSource, eventName, awsRegion";
    check(&cloudtrail(), query, &expected).await;
}

#[tokio::test]
async fn cloudtrail_hosts_started_or_stopped_in_a_region() {
    let query = r#"filter (eventName="StartInstances" or eventName="StopInstances") and awsRegion="us-east-2"
        | fields @timestamp, requestParameters.instancesSet.items.0.instanceId as instance"#;
    let expected =
        ["@timestamp | instance", "2026-11-27T05:04:00Z | –", "2026-11-27T05:00:00Z | i-abcde123"];
    check(&cloudtrail(), query, &expected).await;
}

#[tokio::test]
async fn cloudtrail_new_users() {
    let query = r#"filter eventName="CreateUser"
        | fields awsRegion, requestParameters.userName, responseElements.user.arn"#;
    let expected = [
        "awsRegion | requestParameters.userName | responseElements.user.arn",
        "us-east-2 | ann | arn:aws:iam::1:user/ann",
    ];
    check(&cloudtrail(), query, &expected).await;
}

#[tokio::test]
async fn cloudtrail_exceptions_of_an_api() {
    let query = r#"filter eventName="UpdateTrail" and ispresent(errorCode)
        | stats count(*) by errorCode, errorMessage"#;
    let expected =
        ["errorCode | errorMessage | count(*)", "TrailNotFoundException | Unknown trail | 1"];
    check(&cloudtrail(), query, &expected).await;
}

#[tokio::test]
async fn cloudtrail_old_tls() {
    let query = r#"filter tlsDetails.tlsVersion in [ "TLSv1", "TLSv1.1" ]
        | stats count(*) as numOutdatedTlsCalls by userIdentity.accountId, eventSource, eventName
        | sort eventSource, eventName asc"#;
    let expected = [
        "userIdentity.accountId | eventSource | eventName | numOutdatedTlsCalls",
        "– | ec2.amazonaws.com | StartInstances | 1",
    ];
    check(&cloudtrail(), query, &expected).await;
}

#[tokio::test]
async fn api_gateway_errors_and_latency() {
    let lines = lines(&[
        r#"{"requestId":"1","ip":"192.0.2.1","resourcePath":"/pets","status":200,"responseLatency":30}"#,
        r#"{"requestId":"2","ip":"192.0.2.1","resourcePath":"/pets","status":404,"responseLatency":10}"#,
        r#"{"requestId":"3","ip":"192.0.2.2","resourcePath":"/toys","status":"500","responseLatency":70}"#,
        r#"{"requestId":"4","ip":"192.0.2.2","resourcePath":"/toys","status":403,"responseLatency":5}"#,
    ]);
    let query = "fields @timestamp, status, ip, resourcePath
        | filter status>=400 and status<=499
        | sort @timestamp desc
        | limit 10";
    let expected = [
        "@timestamp | status | ip | resourcePath",
        "2026-11-27T05:03:00Z | 403 | 192.0.2.2 | /toys",
        "2026-11-27T05:01:00Z | 404 | 192.0.2.1 | /pets",
    ];
    check(&lines, query, &expected).await;
    let query = "fields @timestamp, status, ip, resourcePath, responseLatency
        | sort responseLatency desc | limit 1";
    let expected = [
        "@timestamp | status | ip | resourcePath | responseLatency",
        "2026-11-27T05:02:00Z | 500 | 192.0.2.2 | /toys | 70",
    ];
    check(&lines, query, &expected).await;
    let query =
        "stats count(*) as requestCount by resourcePath | sort requestCount desc | limit 10";
    check(&lines, query, &["resourcePath | requestCount", "/pets | 2", "/toys | 2"]).await;
}

#[tokio::test]
async fn nat_gateway_senders_to_the_internet() {
    let lines = lines(&[
        "2 1 eni-nat 10.0.1.5 52.1.1.1 1 443 6 9 5000 1 2 ACCEPT OK",
        "2 1 eni-nat 10.0.1.5 52.1.1.1 1 443 6 9 2500 1 2 ACCEPT OK",
        "2 1 eni-nat 10.0.2.9 10.0.1.5 1 443 6 9 9999 1 2 ACCEPT OK",
        "2 1 eni-nat 52.1.1.1 10.0.1.5 443 1 6 9 7777 1 2 ACCEPT OK",
    ]);
    let query = "filter (dstAddr not like '10.0.' and srcAddr like '10.0.')
        | stats sum(bytes) as bytesTransferred by srcAddr, dstAddr
        | sort bytesTransferred desc
        | limit 10";
    let expected = ["srcAddr | dstAddr | bytesTransferred", "10.0.1.5 | 52.1.1.1 | 7500"];
    check(&lines, query, &expected).await;
}

#[tokio::test]
async fn apache_status_codes_by_parse() {
    let lines = lines(&[
        r#"192.0.2.5 - - [27/Nov/2026:05:00:00 +0000] "GET /a HTTP/1.1" 200 512"#,
        r#"192.0.2.6 - - [27/Nov/2026:05:01:00 +0000] "GET /b HTTP/1.1" 404 99"#,
        r#"192.0.2.6 - - [27/Nov/2026:05:02:00 +0000] "GET /b HTTP/1.1" 404 99"#,
    ]);
    let query = r#"fields @timestamp, remoteIP, request, status, filename
        | parse @message '* - - [*] "* * *" * *' as remoteIP, dateTimeString, method, path, httpVersion, code, size
        | filter code = 404
        | stats count(*) as misses by path, remoteIP"#;
    check(&lines, query, &["path | remoteIP | misses", "/b | 192.0.2.6 | 2"]).await;
}

#[tokio::test]
async fn eventbridge_events_by_type() {
    let lines = lines(&[
        r#"{"detail-type":"EC2 Instance State-change","source":"aws.ec2","detail":{"state":"running"}}"#,
        r#"{"detail-type":"EC2 Instance State-change","source":"aws.ec2","detail":{"state":"stopped"}}"#,
        r#"{"detail-type":"Scheduled Event","source":"aws.events","detail":{}}"#,
    ]);
    let query = "stats count(*) as numberOfEvents by `detail-type` | sort numberOfEvents desc";
    let expected =
        ["detail-type | numberOfEvents", "EC2 Instance State-change | 2", "Scheduled Event | 1"];
    check(&lines, query, &expected).await;
}

#[tokio::test]
async fn appsync_resolvers_and_status() {
    let lines = lines(&[
        r#"{"logType":"Tracing","resolverArn":"arn:r1","duration":100,"fieldName":"posts","parentType":"Query"}"#,
        r#"{"logType":"Tracing","resolverArn":"arn:r1","duration":300,"fieldName":"posts","parentType":"Query"}"#,
        r#"{"logType":"ResponseMapping","fieldInError":true,"resolverArn":"arn:r2"}"#,
        r#"{"logType":"RequestMapping","fieldInError":false,"resolverArn":"arn:r2"}"#,
        "5a1d-request Status Code: 401",
    ]);
    let query = r#"fields ispresent(resolverArn) as isRes | filter logType = "Tracing"
        | stats count(isRes) as invocations, avg(duration) as meanDuration by resolverArn"#;
    check(&lines, query, &["resolverArn | invocations | meanDuration", "arn:r1 | 2 | 200"]).await;
    let query = r#"filter logType = "ResponseMapping" and fieldInError = 1
        | stats count(*) as errors by resolverArn | sort errors desc"#;
    check(&lines, query, &["resolverArn | errors", "arn:r2 | 1"]).await;
    let query =
        "filter @message like 'Status Code' | parse @message /Status Code: (?<statusCode>\\d+)/
        | filter statusCode like /4\\d\\d/ | stats count(*) by statusCode";
    check(&lines, query, &["statusCode | count(*)", "401 | 1"]).await;
}

#[tokio::test]
async fn parse_latency_by_method_and_user() {
    let lines = lines(&[
        "user=ann, method:get, latency := 10",
        "user=ann, method:get, latency := 30",
        "user=bob, method:put, latency := 7.5",
        "no match",
    ]);
    let expected =
        ["@method | @user | avg(@latency)", "get | ann | 20", "put | bob | 7.5", "– | – | –"];
    let query = r#"parse @message "user=*, method:*, latency := *" as @user,
            @method, @latency | stats avg(@latency) by @method,
            @user"#;
    check(&lines, query, &expected).await;
    let query =
        "parse @message /user=(?<user2>.*?), method:(?<method2>.*?), latency := (?<latency2>.*)/
        | stats avg(latency2) by method2, user2 | filter ispresent(user2) | sort user2 desc";
    let expected = ["method2 | user2 | avg(latency2)", "put | bob | 7.5", "get | ann | 20"];
    check(&lines, query, &expected).await;
}

#[tokio::test]
async fn parse_then_filter_by_type() {
    let lines = lines(&["05:00 [ERROR] it broke", "05:01 [INFO] it works", "05:02 [DEBUG] hm"]);
    let query = r#"FIELDS @message
        | PARSE @message "* [*] *" as loggingTime, loggingType, loggingMessage
        | FILTER loggingType IN ["ERROR", "INFO"]
        | DISPLAY loggingMessage, loggingType = "ERROR" as isError"#;
    let expected = ["loggingMessage | isError", "it works | false", "it broke | true"];
    check(&lines, query, &expected).await;
}

#[tokio::test]
async fn several_stats_in_a_row() {
    let lines: Vec<_> = [(0, 10), (60, 30), (300, 100), (360, 5), (900, 1)]
        .map(|(at, _)| Line { at, body: "", ..Line::default() })
        .into();
    // The most events of any five minutes, and the mean.
    let query = "FIELDS @timestamp
        | STATS COUNT(*) AS n BY bin(5m) AS window
        | STATS MAX(n) AS peak, AVG(n) AS mean, COUNT(*) AS windows";
    check(&lines, query, &["peak | mean | windows", "2 | 1.6666666666666667 | 3"]).await;
}

#[tokio::test]
async fn unnest_the_items_of_a_list() {
    let lines = lines(&[
        r#"{"events":[{"name":"exception"},{"name":"user action"}]}"#,
        r#"{"events":{"name":"alone"}}"#,
    ]);
    let query = "fields jsonParse(@message) as json_message
        | unnest json_message.events into event
        | display event.name
        | sort event.name";
    check(&lines, query, &["event.name", "alone", "exception", "user action"]).await;
    let accounts = [
        r#"[{"accountId":"a","droppedSpans":3},{"accountId":"b","droppedSpans":1},{"accountId":"a","droppedSpans":2}]"#,
    ];
    let query = "fields jsonParse(@message) as accounts
        | unnest accounts into account
        | stats sum(account.droppedSpans) as n by account.accountId
        | sort n desc
        | limit 10";
    check(&super::lines(&accounts), query, &["account.accountId | n", "a | 5", "b | 1"]).await;
}
