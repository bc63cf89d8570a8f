use std::io::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LIST, Stop, feed, rows};
use crate::Machine;
use crate::definition::{Kind, Reader};
use crate::fault::Fault;

fn reader(resource: &str, config: &Value) -> Reader {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true,
        "ItemReader": {"Resource": resource, "ReaderConfig": config},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}});
    let (machine, _) = Machine::parse(&definition.to_string()).unwrap();
    match &machine.states.states["M"].kind {
        Kind::Map(map) => map.reader.clone().unwrap(),
        _ => unreachable!(),
    }
}

fn read(config: Value, body: &[u8]) -> Result<Vec<Value>, String> {
    let mut items = Vec::new();
    let reader = reader("arn:aws:states:::s3:getObject", &config);
    let fed = feed(&reader, &json!({}), &mut |_, _| Ok(body.to_vec()), &mut |item| {
        items.push(item);
        Ok(())
    });
    match fed {
        Ok(()) => Ok(items),
        Err(Stop::Enough) => unreachable!(),
        Err(Stop::Because(fault)) => Err(fault.cause.unwrap()),
    }
}

#[test]
fn broken_objects_are_refused_with_the_place_where_they_break() {
    for (config, body, cause) in [
        (json!({"InputType": "JSON"}), "[1, 2", "the object is not JSON: EOF while parsing"),
        (json!({"InputType": "JSON"}), "[1] 2", "the object is not JSON: trailing characters"),
        (json!({"InputType": "JSON"}), "{}", "Attempting to map over non-iterable node."),
        (json!({"InputType": "JSONL"}), "{\"a\":1}\n\nnonsense", "line 3 is not JSON"),
        (json!({"InputType": "CSV"}), "a,b\n1,\"two\n3,4", "a field in line 2 is not closed"),
        (json!({"InputType": "MANIFEST"}), "{}", "`fileFormat` is CSV"),
        (json!({"InputType": "PARQUET"}), "PAR1", "items of type PARQUET cannot be read"),
        (json!({}), "[]", "items of type (none) cannot be read"),
    ] {
        let told = read(config, body.as_bytes()).unwrap_err();
        assert!(told.contains(cause), "{told}");
    }
    let told = read(json!({"InputType": "JSONL"}), b"\"\xff\"").unwrap_err();
    assert_eq!(told, "the object is not UTF-8 text");
}

#[test]
fn tables_are_read_with_their_delimiter_and_headers() {
    let config = json!({"InputType": "CSV", "CSVDelimiter": "PIPE", "CSVHeaderLocation": "GIVEN",
        "CSVHeaders": ["a", "b"]});
    let items = read(config, b"1|\"x|\"\"y\"\"\"|dropped\r\n2").unwrap();
    assert_eq!(items, [json!({"a": "1", "b": "x|\"y\""}), json!({"a": "2", "b": ""})]);
}

#[test]
fn an_inventory_leads_to_its_packed_files() {
    let manifest = json!({"destinationBucket": "arn:aws:s3:::lists", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key", "files": [{"key": "data/1.csv.gz"}, {"key": "data/2.csv"}]});
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"\"b\",\"one\"\n").unwrap();
    let packed = packed.finish().unwrap();
    let mut fetch = |_: &str, arguments: &Value| {
        Ok(match arguments["Key"].as_str().unwrap() {
            "manifest.json" => manifest.to_string().into_bytes(),
            "data/1.csv.gz" => packed.clone(),
            _ => b"b,two".to_vec(),
        })
    };
    let reader = reader("arn:aws:states:::s3:getObject", &json!({"InputType": "MANIFEST"}));
    let mut keys = Vec::new();
    let mut take = |item: Value| {
        keys.push(item["Key"].clone());
        Ok(())
    };
    feed(&reader, &json!({"Bucket": "x", "Key": "manifest.json"}), &mut fetch, &mut take).unwrap();
    assert_eq!(keys, ["one", "two"]);
}

#[test]
fn a_listing_is_read_page_by_page_until_enough_is_taken() {
    let reader = reader(LIST, &json!({}));
    let mut asked = Vec::new();
    let mut fetch = |_: &str, arguments: &Value| {
        asked.push(arguments["StartAfter"].clone());
        let from = asked.len() * 2;
        Ok::<_, Fault>(json!([{"Key": from}, {"Key": from + 1}]).to_string().into_bytes())
    };
    let mut count = 0;
    let fed = feed(&reader, &json!({"Bucket": "x"}), &mut fetch, &mut |_| {
        count += 1;
        if count > 5 { Err(Stop::Enough) } else { Ok(()) }
    });
    assert!(matches!(fed, Err(Stop::Enough)));
    assert_eq!(asked, [Value::Null, json!(3), json!(5)]);
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were_written(
        table in proptest::collection::vec(
            proptest::collection::vec("[a-c,\"\\n\r é]{0,6}", 1..4), 1..5)
    ) {
        let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
        let body: Vec<_> = table.iter().map(line).collect();
        let mut found = Vec::new();
        rows(&(body.join("\n") + "\n"), ',', &mut |row| { found.push(row); Ok(()) }).unwrap();
        prop_assert_eq!(found, table);
    }

    #[test]
    fn reading_never_fails_otherwise_than_with_a_cause(body in "\\PC{0,60}|[\\[\\]{}\":,\\n1a]{0,60}") {
        for kind in ["JSON", "JSONL", "CSV", "MANIFEST"] {
            if let Err(cause) = read(json!({"InputType": kind}), body.as_bytes()) {
                prop_assert!(!cause.is_empty());
            }
        }
    }
}
