//! Checks function declarations and the function calling mode.

use serde_json::Value;

use super::super::super::list;
use super::{fault, known, schema, wrong};
use crate::errors::Reject;

const TOOLS: [&str; 9] = [
    "functionDeclarations", "googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "googleMaps",
    "fileSearch", "computerUse", "mcpServers",
];
const FUNCTION: [&str; 7] =
    ["name", "description", "behavior", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"];

pub(super) fn check(body: &Value) -> Result<(), Reject> {
    for (at, tool) in list(body, "tools").iter().enumerate() {
        known(tool, &format!("tools[{at}]"), &TOOLS)?;
        for (place, function) in list(tool, "functionDeclarations").iter().enumerate() {
            one(function, &format!("tools[{at}].function_declarations[{place}]"))?;
        }
    }
    let names: Vec<&str> = names(body).collect();
    if let Some(name) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(fault(format!("Duplicate function declaration found: {}", name.1)));
    }
    mode(body, &names)
}

fn names(body: &Value) -> impl Iterator<Item = &str> {
    let declared = list(body, "tools").iter().flat_map(|tool| list(tool, "functionDeclarations"));
    declared.filter_map(|function| function["name"].as_str())
}

fn one(function: &Value, path: &str) -> Result<(), Reject> {
    known(function, path, &FUNCTION)?;
    let name = function["name"].as_str().unwrap_or_default();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if !begins || name.len() > 64 || !name.chars().all(fits) {
        return Err(fault(format!(
            "* GenerateContentRequest.{path}.name: [FIELD_INVALID] Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
        )));
    }
    match (function.get("parameters"), function.get("parametersJsonSchema")) {
        (Some(_), Some(_)) => Err(fault(format!(
            "* GenerateContentRequest.{path}: only one of parameters and parameters_json_schema may be set."
        ))),
        (Some(parameters), None) => object(parameters, path),
        _ => Ok(()),
    }
}

/// Checks that parameters of type object have properties.
fn object(parameters: &Value, path: &str) -> Result<(), Reject> {
    let path = format!("{path}.parameters");
    schema::check(parameters, &path)?;
    let empty = parameters["properties"].as_object().is_none_or(serde_json::Map::is_empty);
    if parameters["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("object")) && empty {
        return Err(fault(format!("* GenerateContentRequest.{path}.properties: should be non-empty for OBJECT type")));
    }
    Ok(())
}

fn mode(body: &Value, names: &[&str]) -> Result<(), Reject> {
    let Some(outer) = body.get("toolConfig").filter(|config| !config.is_null()) else { return Ok(()) };
    let members = ["functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"];
    known(outer, "tool_config", &members)?;
    let config = &outer["functionCallingConfig"];
    if config.is_null() {
        return Ok(());
    }
    let path = "tool_config.function_calling_config";
    known(config, path, &["mode", "allowedFunctionNames", "streamFunctionCallArguments"])?;
    let mode = config["mode"].as_str().unwrap_or("AUTO");
    if !matches!(mode, "AUTO" | "ANY" | "NONE" | "VALIDATED" | "MODE_UNSPECIFIED") {
        let kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode";
        return Err(wrong(&format!("{path}.mode"), kind, &config["mode"]));
    }
    let allowed = list(config, "allowedFunctionNames");
    if !allowed.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(fault("Allowed function names should only be set when function calling mode is ANY or VALIDATED."));
    }
    match allowed.iter().filter_map(Value::as_str).find(|name| !names.contains(name)) {
        Some(name) => {
            Err(fault(format!("* GenerateContentRequest.{path}.allowed_function_names: {name} is not declared")))
        }
        None => Ok(()),
    }
}
