use super::*;

fn found(text: &str, names: &[&str]) -> Vec<Option<String>> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut found = vec![None; names.len()];
    in_text(text, &names, &mut found);
    found
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn members_of_json_are_fields() {
    let line = r#"{"a":1,"b":{"c":["x",{"d":true}]},"e.f":"g","skipped":[1,2,{"a":9}],"n":null}"#;
    assert_eq!(
        found(line, &["a", "b.c.0", "b.c.1.d", "e.f", "b.c"]),
        some(&["1", "x", "true", "g", r#"["x",{"d":true}]"#])
    );
    assert_eq!(found(line, &["n", "missing", "ab"]), [None, None, None]);
}

#[test]
fn the_first_json_in_a_line_is_read_even_if_it_is_cut_off() {
    let line = r#"2026-11-01 INFO order {"id":"o-1","items":[1,2]} done"#;
    assert_eq!(found(line, &["id", "items.1"]), some(&["o-1", "2"]));
    assert_eq!(found(r#"{"id":"o-1","total":1"#, &["id"]), some(&["o-1"]));
}

#[test]
fn lines_of_lambda_flow_logs_and_route_53_have_their_fields() {
    let report = "REPORT RequestId: 6bc28136\tDuration: 101.51 ms\tBilled Duration: 102 ms\tMemory \
                  Size: 128 MB\tMax Memory Used: 64 MB\tInit Duration: 200.5 ms";
    assert_eq!(
        found(
            report,
            &[
                "@type",
                "@requestId",
                "@duration",
                "@billedDuration",
                "@memorySize",
                "@maxMemoryUsed",
                "@initDuration"
            ]
        ),
        some(&["REPORT", "6bc28136", "101.51", "102", "128000000", "64000000", "200.5"])
    );
    let flow = "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 \
                1418530070 ACCEPT OK";
    assert_eq!(
        found(flow, &["srcAddr", "bytes", "logStatus", "srcaddr"]),
        some(&["172.31.16.139", "4249", "OK", "172.31.16.139"])
    );
    let no_data = "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA";
    assert_eq!(found(no_data, &["bytes", "logStatus"]), [None, Some("NODATA".to_owned())]);
    let query = "1.0 2017-12-13T08:16:02.130Z Z123412341234 example.com A NOERROR UDP FRA6 \
                 192.168.1.1 -";
    assert_eq!(
        found(query, &["queryName", "queryType", "responseCode", "resolverIp"]),
        some(&["example.com", "A", "NOERROR", "192.168.1.1"])
    );
}
