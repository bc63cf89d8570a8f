//! What queries are made into.

use super::*;

/// What is cheap to look at is looked at by the table; texts are read of the rows that remain, and
/// once.
#[tokio::test]
async fn texts_are_read_late_and_once() {
    let rows = logs(&lines(&["{}"]));
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    let context = SessionContext::new();
    context.register_table("logs", Arc::new(table)).unwrap();
    let mut plans = Vec::new();
    for query in [
        "filter service = 'a' and status >= 400 and @timestamp > '2026-11-27T00:00:00Z'\
         \n| stats count(*), avg(latency) as l by bin(5m), path\
         \n| sort l desc | limit 5",
        "fields @timestamp, status\
         \n| filter @message like /ERROR/\
         \n| parse @message 'a=* b=*' as a, b\
         \n| filter a > 3 | limit 20",
        "fields severity, attributes.quota | dedup service",
    ] {
        let rows = context.table("logs").await.unwrap().into_parts().1;
        let source = Source { rows, before: None, now: Timestamp::UNIX_EPOCH, limit: 100 };
        let plan = Query::parse(query).unwrap().compile(source).unwrap();
        let plan = context.state().optimize(&plan).unwrap();
        plans.push(format!("{query}\n──\n{}\n", plan.display_indent()));
    }
    insta::assert_snapshot!(plans.join("\n"));
}
