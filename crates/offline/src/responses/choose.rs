//! What to say: a few rules over the last user message and the offered tools.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::check::encrypted;
use super::hint::{self, Hint};
use super::image::PIXEL;
use super::item::{Call, Out, What};
use super::read::{Ask, Tool, ToolKind};
use super::schema;

/// The items of the answer.
pub(super) fn items(ask: &Ask<'_>) -> Vec<Out> {
    if ask.items.last().is_some_and(|item| item["type"] == "compaction_trigger") {
        return vec![What::Compaction { encrypted: encrypted::mint(ask.account) }.into()];
    }
    reasoning(ask).into_iter().chain(content(ask)).map(Out::from).collect()
}

/// A reasoning item when the request speaks of reasoning.
fn reasoning(ask: &Ask<'_>) -> Option<What> {
    let asked = ask.body.get("reasoning").is_some_and(Value::is_object);
    if !asked || matches!(ask.reasoning("effort"), Some("none" | "minimal")) {
        return None;
    }
    let summary = match ask.reasoning("summary") {
        None | Some("none") => Vec::new(),
        Some(_) => vec!["**Reading the request**\n\nThe last message decides what to answer.".to_owned()],
    };
    let wanted = ask.body.get("include").and_then(Value::as_array);
    let wanted = wanted.is_some_and(|list| list.iter().any(|name| name == "reasoning.encrypted_content"));
    Some(What::Reasoning { summary, encrypted: wanted.then(|| encrypted::mint(ask.account)) })
}

fn content(ask: &Ask<'_>) -> Vec<What> {
    let outputs = ask.outputs();
    if let Some(schema) = ask.format().filter(|_| !outputs.is_empty()) {
        return vec![fitting(ask, schema)];
    }
    if !outputs.is_empty() {
        return vec![text(format!("The tool answered: {}", outputs.join("; ")))];
    }
    let calls = calls(ask);
    if !calls.is_empty() {
        return calls;
    }
    hosted(ask).unwrap_or_else(|| match ask.format() {
        Some(schema) => vec![fitting(ask, schema)],
        None => vec![text(words(ask))],
    })
}

fn text(text: String) -> What {
    What::Message { text, annotations: Vec::new() }
}

fn fitting(ask: &Ask<'_>, schema: &Value) -> What {
    text(schema::sample(schema, &mut Hint::new(&ask.prompt)).to_string())
}

/// Plain text.
fn words(ask: &Ask<'_>) -> String {
    let prompt = ask.prompt.trim();
    if let Some(exact) = hint::exact(prompt) {
        return exact.to_owned();
    }
    if let Some(last) = hint::count(prompt) {
        let mut numbers = String::from("1");
        (2..=last).for_each(|number| write!(numbers, " {number}").expect("invariant: a string takes writes"));
        return numbers;
    }
    let images: Vec<String> = ask
        .images()
        .into_iter()
        .map(|image| match image {
            Ok(bytes) => format!("I see an image of {bytes} bytes."),
            Err(url) => format!("I see an image at {url}."),
        })
        .collect();
    let shown: String = prompt.chars().take(400).collect();
    let rest = if shown.is_empty() { String::new() } else { format!("You said: {shown}") };
    match (images.is_empty(), rest.is_empty()) {
        (true, true) => "Hello from the offline backend.".to_owned(),
        (true, false) => format!("Hello from the offline backend. {rest}"),
        (false, true) => images.join(" "),
        (false, false) => format!("{} {rest}", images.join(" ")),
    }
}

/// Calls of the client's tools, if the choice or the prompt asks for them.
fn calls(ask: &Ask<'_>) -> Vec<What> {
    let mine = |tool: &&Tool<'_>| matches!(tool.kind, ToolKind::Function | ToolKind::Custom);
    let offered: Vec<&Tool<'_>> = ask.tools.iter().filter(mine).collect();
    let chosen = match choice(ask, &offered) {
        Choice::None => return Vec::new(),
        Choice::Must(tools) => tools,
        Choice::May(tools) => {
            if let Some(call) = run(ask, &tools) {
                return vec![call];
            }
            asked(&ask.prompt, &tools)
        }
    };
    let many = ["both", "parallel", "twice"].iter().any(|word| hint::says(&ask.prompt, word));
    let hint = Hint::new(&ask.prompt);
    match chosen[..] {
        [] => Vec::new(),
        [tool] if many => (0..2).map(|at| call(tool, &hint.turned(at))).collect(),
        _ if many => chosen.iter().map(|tool| call(tool, &hint)).collect(),
        [tool, ..] => vec![call(tool, &hint)],
    }
}

enum Choice<'a> {
    None,
    May(Vec<&'a Tool<'a>>),
    Must(Vec<&'a Tool<'a>>),
}

/// What `tool_choice` leaves.
fn choice<'a>(ask: &Ask<'_>, offered: &[&'a Tool<'a>]) -> Choice<'a> {
    let named = |name: &Value| offered.iter().copied().filter(|tool| name == tool.name).collect::<Vec<_>>();
    match ask.body.get("tool_choice") {
        Some(Value::String(mode)) if mode == "none" => Choice::None,
        Some(Value::String(mode)) if mode == "required" => {
            let asked = asked(&ask.prompt, offered);
            Choice::Must(if asked.is_empty() { offered.iter().take(1).copied().collect() } else { asked })
        }
        Some(choice) if choice["type"] == "allowed_tools" => {
            let allowed: Vec<&Tool<'_>> =
                choice["tools"].as_array().into_iter().flatten().flat_map(|tool| named(&tool["name"])).collect();
            if choice["mode"] == "required" { Choice::Must(allowed) } else { Choice::May(allowed) }
        }
        Some(choice) if choice["type"] == "function" || choice["type"] == "custom" => {
            Choice::Must(named(&choice["name"]))
        }
        _ => Choice::May(offered.to_vec()),
    }
}

/// The tools a prompt names, else one when it says "tool" or "weather".
fn asked<'a>(prompt: &str, offered: &[&'a Tool<'a>]) -> Vec<&'a Tool<'a>> {
    let means = ["use", "call", "tool", "both", "parallel"].iter().any(|word| hint::says(prompt, word));
    let named = |tool: &&&Tool<'_>| (means || tool.name.contains('_')) && hint::says(prompt, tool.name);
    let named: Vec<&Tool<'_>> = offered.iter().filter(named).copied().collect();
    if !named.is_empty() {
        return named;
    }
    let weather = hint::says(prompt, "weather");
    if !weather && !hint::says(prompt, "tool") && !hint::says(prompt, "tools") {
        return Vec::new();
    }
    let about = offered.iter().find(|tool| weather && tool.name.to_lowercase().contains("weather"));
    let several = ["both", "parallel"].iter().any(|word| hint::says(prompt, word)) && about.is_none();
    match about {
        Some(tool) => vec![tool],
        None => offered.iter().take(if several { 2 } else { 1 }).copied().collect(),
    }
}

fn call(tool: &Tool<'_>, hint: &Hint) -> What {
    let call = Call::new(tool.namespace, tool.name);
    if tool.kind == ToolKind::Custom {
        return What::Custom { call, input: freeform(tool.name) };
    }
    let arguments = tool.schema.map_or_else(|| json!({}), |schema| schema::sample(schema, &mut hint.clone()));
    What::Function { call, arguments: arguments.to_string() }
}

/// An input that the known grammars take.
fn freeform(name: &str) -> String {
    match name {
        "apply_patch" => "*** Begin Patch\n*** Add File: offline.txt\n+hello\n*** End Patch\n".to_owned(),
        "exec" => "text(\"hello\");\n".to_owned(),
        _ => "hello from the offline backend".to_owned(),
    }
}

/// `run: COMMAND` through whatever runs commands.
fn run(ask: &Ask<'_>, offered: &[&Tool<'_>]) -> Option<What> {
    let command = hint::command(&ask.prompt)?;
    let find = |name: &str| offered.iter().find(|tool| tool.name == name);
    let wrapped = json!(["bash", "-lc", command]);
    let shells = [
        ("exec_command", "cmd", json!(command)),
        ("shell_command", "command", json!(command)),
        ("shell", "command", wrapped),
    ];
    for (name, key, value) in shells {
        let Some(tool) = find(name) else { continue };
        let mut arguments =
            tool.schema.map_or_else(|| json!({}), |schema| schema::sample(schema, &mut Hint::default()));
        hint::set(&mut arguments, key, value);
        return Some(What::Function { call: Call::new(tool.namespace, name), arguments: arguments.to_string() });
    }
    let tool = find("exec").filter(|tool| tool.kind == ToolKind::Custom)?;
    let input =
        format!("const result = await tools.exec_command({});\ntext(result.output);\n", json!({ "cmd": command }));
    Some(What::Custom { call: Call::new(tool.namespace, tool.name), input })
}

/// The backend's own tools.
fn hosted(ask: &Ask<'_>) -> Option<Vec<What>> {
    let has = |kind: ToolKind| ask.tools.iter().any(|tool| tool.kind == kind);
    let forced = ask.body.get("tool_choice").and_then(|choice| choice["type"].as_str()).unwrap_or_default();
    let off = ask.body.get("tool_choice").is_some_and(|choice| choice == "none");
    if has(ToolKind::Image) && !off && (hint::says(&ask.prompt, "draw") || forced == "image_generation") {
        return Some(vec![
            What::Image { prompt: ask.prompt.clone(), result: PIXEL },
            text("Here is the picture.".to_owned()),
        ]);
    }
    if has(ToolKind::Search) && !off && (hint::says(&ask.prompt, "search") || forced.starts_with("web_search")) {
        return Some(search(&ask.prompt));
    }
    None
}

fn search(prompt: &str) -> Vec<What> {
    let quote = "Example Domain (example.com)";
    let head = "I searched the web. ";
    let annotation = json!({
        "type": "url_citation",
        "start_index": head.len(),
        "end_index": head.len() + quote.len(),
        "url": "https://example.com/?utm_source=openai",
        "title": "Example Domain",
    });
    let answer = What::Message { text: format!("{head}{quote} says hello."), annotations: vec![annotation] };
    vec![What::Search { query: prompt.chars().take(200).collect() }, answer]
}
