//! The OpenAPI document, made from the list of routes.

use serde_json::{Map, Value, json};

use super::Route;

/// The document for these routes (OpenAPI 3.1).
pub fn document<'a>(routes: impl Iterator<Item = &'a Route>) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let in_path = route.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some(
                json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
            )
        });
        let in_query = route
            .query
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
        let mut operation = json!({
            "summary": route.summary,
            "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
            "responses": {
                "200": {"description": "Done.", "content": {"application/json": {}}},
                "default": {"$ref": "#/components/responses/Problem"},
            },
        });
        if let (Some(schema), Some(operation)) = (route.body, operation.as_object_mut()) {
            let content = json!({"application/json": {"schema": Value::from(schema())}});
            operation
                .insert("requestBody".to_owned(), json!({"required": true, "content": content}));
        }
        let method = route.method.as_str().to_ascii_lowercase();
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method, operation);
        }
    }
    let problem = json!({
        "type": "object",
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "diagnostics": {"type": "array"},
            },
        }},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Groundcrew", "version": env!("CARGO_PKG_VERSION")},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "responses": {"Problem": {
                "description": "What is wrong.",
                "content": {"application/json": {"schema": problem}},
            }},
        },
    })
}
