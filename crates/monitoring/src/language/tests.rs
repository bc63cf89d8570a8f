use super::*;

#[test]
fn what_begins_as_sql_is_sql() {
    for text in [
        "SELECT 1",
        "-- a\n\n select 1",
        "(with a as (select 1) select * from a)",
        "explain select 1",
    ] {
        assert_eq!(Language::of(text), Language::Sql, "{text}");
    }
    for text in ["fields a", "# select\nfilter a = 1", "stats count(*)", "", "selection = 1"] {
        assert_eq!(Language::of(text), Language::Insights, "{text}");
    }
}

#[test]
fn misspelt_queries_are_told_with_their_place() {
    assert_eq!(Language::Sql.check("SELECT count(*) FROM spans -- all"), Ok(()));
    assert_eq!(Language::Sql.check("EXPLAIN SELECT 1"), Ok(()));
    let wrong = Language::Sql.check("SELECT *\nFROM spans WHERE ORDER BY").unwrap_err();
    assert_eq!((wrong.line, wrong.column), (2, 24), "{}", wrong.message);
    let wrong = Language::Sql.check("DROP TABLE spans").unwrap_err();
    assert_eq!(wrong.message, "this is no query");
    let wrong = Language::Sql.check("SELECT 1; SELECT 2").unwrap_err();
    assert_eq!(wrong.message, "one statement is expected here, not 2");
    assert_eq!(Language::Insights.check("stats count(*) by bin(5m)"), Ok(()));
    let wrong = Language::Insights.check("fields a\n| felds b").unwrap_err();
    assert_eq!((wrong.line, wrong.column), (2, 3));
    assert_eq!(wrong.hint.as_deref(), Some("did you mean `fields`?"));
}
