//! The `OpenAPI` 3.1 document, made of the same list of doors as the router.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tidegate_api::Problem;
use tidegate_domain::access::Permission;

use crate::door::{Route, Source};

/// The document.
pub fn document(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    "/components/schemas".clone_into(settings.definitions_path.to_mut());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let path = format!("/api/v1{}", route.path);
        let operation = operation(route, &mut generator);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_lowercase()] = operation;
    }
    let problem = generator.subschema_for::<Problem>();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Plan, authorise and carry out releases. Every refusal is a problem with a stable code (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, from `tidegate token create`"}
            },
            "responses": {
                "Problem": {
                    "description": "Why the request was not carried out",
                    "content": {"application/problem+json": {"schema": problem}}
                }
            }
        },
        "security": [{"token": []}]
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let input = (route.input)(generator);
    let mut parameters = path_parameters(route.path);
    if route.source != Source::Body {
        parameters.extend(query_parameters(&input, generator));
    }
    if route.source == Source::Body {
        let sense = "Repeat a request with the same key to get the same answer, not a second effect; an answer with a secret in it \
                     is not repeated but refused with 409";
        parameters.push(header("Idempotency-Key", sense, (8, Some(128))));
    }
    if route.source == Source::Body && route.path.contains("/{id}") {
        parameters.push(header(
            "If-Match",
            "The ETag of the version that was looked at; another one is refused with 412",
            (1, None),
        ));
    }
    if route.path == "/stream" {
        parameters.push(header("Last-Event-ID", "The id of the last entry that came; goes before `after`", (1, None)));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "description": format!("Needs the permission `{}`.", route.permission.as_str()),
        "x-permission": route.permission.as_str(),
        "parameters": parameters,
        "responses": responses(route, generator),
    });
    match route.source {
        Source::Body => {
            let required = whole(&input, generator)["required"].as_array().is_some_and(|names| !names.is_empty());
            operation["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": input}}});
        }
        Source::Bytes => {
            let bytes = json!({"schema": {"type": "string", "contentMediaType": "application/octet-stream"}});
            operation["requestBody"] = json!({"required": true, "content": {"application/octet-stream": bytes}});
        }
        Source::Query => {}
    }
    if route.permission == Permission::Public {
        operation["security"] = json!([]);
    }
    operation
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let good = match route.answer {
        Some(answer) => json!({"description": "Done", "content": {"application/json": {"schema": answer(generator)}}}),
        None => {
            json!({"description": "Server-sent events: each has a position as its id, and an `EventView` as JSON as its data",
            "content": {"text/event-stream": {"schema": {"type": "string"}}}})
        }
    };
    json!({"200": good, "default": {"$ref": "#/components/responses/Problem"}})
}

fn operation_id(route: &Route) -> String {
    let path = route.path.trim_matches('/').replace(['{', '}'], "").replace(['/', '-'], "_");
    format!("{}_{path}", route.method.as_str().to_lowercase())
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})).collect()
}

/// A form itself, where it is only named.
fn whole(input: &schemars::Schema, generator: &mut SchemaGenerator) -> Value {
    let name = input.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()).map(str::to_owned);
    name.and_then(|name| generator.definitions().get(&name).cloned()).unwrap_or_else(|| input.clone().to_value())
}

fn query_parameters(input: &schemars::Schema, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = whole(input, generator);
    let required: Vec<&str> =
        schema["required"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| json!({"name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema});
    properties.iter().map(parameter).collect()
}

fn header(name: &str, description: &str, (length_min, length_max): (u32, Option<u32>)) -> Value {
    let mut schema = json!({"type": "string", "minLength": length_min});
    if let Some(max) = length_max {
        schema["maxLength"] = json!(max);
    }
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema})
}
