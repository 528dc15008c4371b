//! Each client's own tool is called with the arguments that write the file.

use serde_json::{Value, json};

use super::super::{ModelInput, ModelOutput, Tool, ToolChoice, ToolKind, answer};

fn topic<'a>(prompt: &str, tools: Vec<Tool<'a>>, body: &'a Value) -> ModelInput<'a> {
    ModelInput {
        prompt: prompt.to_owned(),
        outputs: Vec::new(),
        images: Vec::new(),
        tools,
        choice: ToolChoice::Auto,
        format: None,
        parallel: true,
        body,
    }
}

fn tool<'a>(name: &'a str, schema: &'a Value) -> Tool<'a> {
    Tool { kind: ToolKind::Function, namespace: None, name, schema: Some(schema) }
}

fn strings(names: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "type": "object", "properties": properties, "required": names })
}

const PROMPT: &str = "Do this:\nwrite proof.txt with: it's done";

fn arguments(name: &str, schema: &Value) -> Value {
    let body = json!({ "instructions": "Environment\n Primary working directory: /home/me/\nmore" });
    match &answer(&topic(PROMPT, vec![tool(name, schema)], &body))[..] {
        [ModelOutput::Function { name: called, arguments, .. }] if called == name => arguments.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn writes_with_the_tool_of_each_client() {
    let whole = "it's done\n";
    let printed = "printf '%s\\n' 'it'\\''s done' > 'proof.txt'";
    let patched = "*** Begin Patch\n*** Add File: proof.txt\n+it's done\n*** End Patch\n";
    let path = "/home/me/proof.txt";
    let cases = [
        ("Write", strings(&["file_path", "content"]), json!({ "file_path": path, "content": whole })),
        ("write_file", strings(&["file_path", "content"]), json!({ "file_path": path, "content": whole })),
        ("write", strings(&["filePath", "content"]), json!({ "filePath": path, "content": whole })),
        ("apply_patch", strings(&["patchText"]), json!({ "patchText": patched })),
        ("exec_command", strings(&["cmd"]), json!({ "cmd": printed })),
        ("shell", strings(&["command"]), json!({ "command": ["bash", "-lc", printed] })),
        ("bash", strings(&["command", "description"]), json!({ "command": printed, "description": "example" })),
    ];
    for (name, schema, expected) in cases {
        assert_eq!(arguments(name, &schema), expected, "{name}");
    }
}

#[test]
fn writes_with_freeform_tools() {
    let body = json!({});
    let freeform = |name| Tool { kind: ToolKind::Custom, namespace: Some("functions"), name, schema: None };
    for (name, part) in [("apply_patch", "+it's done\n"), ("exec", r#"tools.exec_command({"cmd":"printf "#)] {
        match &answer(&topic(PROMPT, vec![freeform(name)], &body))[..] {
            [ModelOutput::Custom { name: called, input, .. }] => {
                assert!(called == name && input.contains(part), "{input}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The client's own tool draws, directly or inside its code, unless the API's tool is offered.
#[test]
fn draws_with_the_clients_own_tool() {
    let schema = json!({});
    let artist = Tool { namespace: Some("image_gen"), ..tool("imagegen", &schema) };
    let exec = Tool { kind: ToolKind::Custom, namespace: Some("functions"), name: "exec", schema: None };
    let hosted = Tool { kind: ToolKind::Image, namespace: None, name: "image_generation", schema: None };
    let context = json!({ "input": [{ "content": "<cwd>/home/me</cwd>" }, { "description": "image_gen__imagegen" }] });
    let answer_to = |prompt: &str, tools: &[&Tool<'_>], body: &Value| {
        let tools = tools.iter().map(|tool| (*tool).clone()).collect();
        answer(&topic(prompt, tools, body)).remove(0)
    };
    let cases = [
        ("draw a fox", json!({ "prompt": "draw a fox" })),
        ("redraw it: in blue", json!({ "prompt": "in blue", "num_last_images_to_include": 1 })),
        ("redraw a.png: in blue", json!({ "prompt": "in blue", "referenced_image_paths": ["/home/me/a.png"] })),
        ("redraw /b/a.png: in blue", json!({ "prompt": "in blue", "referenced_image_paths": ["/b/a.png"] })),
    ];
    for (prompt, arguments) in cases {
        let input = format!("generatedImage(await tools.image_gen__imagegen({arguments}));\n");
        let (namespace, name) = (Some("image_gen".to_owned()), "imagegen".to_owned());
        assert_eq!(
            answer_to(prompt, &[&exec, &artist], &context),
            ModelOutput::Function { namespace, name, arguments },
            "{prompt}"
        );
        let (namespace, name) = (Some("functions".to_owned()), "exec".to_owned());
        assert_eq!(answer_to(prompt, &[&exec], &context), ModelOutput::Custom { namespace, name, input }, "{prompt}");
    }
    let plain = json!({});
    assert!(matches!(answer_to("draw a fox", &[&exec], &plain), ModelOutput::Text { .. }), "its code cannot draw");
    assert!(
        matches!(answer_to("what a fox", &[&exec, &artist], &context), ModelOutput::Text { .. }),
        "nobody asked for a picture"
    );
    assert!(matches!(answer_to("draw a fox", &[&exec, &artist, &hosted], &context), ModelOutput::Image { .. }));
}

#[test]
fn searches_with_the_clients_own_tool() {
    let exec = Tool { kind: ToolKind::Custom, namespace: None, name: "exec", schema: None };
    let hosted = Tool { kind: ToolKind::Search, namespace: None, name: "web_search", schema: None };
    let body = json!({ "input": [{ "description": "### `web__run`" }] });
    let answer_to = |prompt: &str, tools: Vec<Tool<'_>>| answer(&topic(prompt, tools, &body)).remove(0);
    let input = "text(await tools.web__run({\"search_query\":[{\"q\":\"search foxes\"}]}));\n".to_owned();
    let call = ModelOutput::Custom { namespace: None, name: "exec".to_owned(), input };
    assert_eq!(answer_to("search foxes", vec![exec.clone()]), call);
    assert!(
        matches!(answer_to("name foxes", vec![exec.clone()]), ModelOutput::Text { .. }),
        "nobody asked for a search"
    );
    assert!(matches!(answer_to("search foxes", vec![exec, hosted]), ModelOutput::Search { .. }));
}

#[test]
fn edits_by_text_blocks() {
    let answer_to = |prompt: &str, system: &str| {
        let body = json!({ "messages": [{ "role": "system", "content": system }] });
        match &answer(&topic(prompt, Vec::new(), &body))[..] {
            [ModelOutput::Text { text, .. }] => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    let blocks = "Every *SEARCH/REPLACE block* must use this format";
    assert!(
        answer_to("edit a.py: x = 1 -> x = 2", blocks)
            .contains("\na.py\n```\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n```\n")
    );
    assert!(
        answer_to(PROMPT, blocks).contains("\nproof.txt\n```\n<<<<<<< SEARCH\n=======\nit's done\n>>>>>>> REPLACE")
    );
    assert!(answer_to(PROMPT, "return the entire *file listing*").contains("\nproof.txt\n```\nit's done\n```\n"));
    assert!(answer_to(PROMPT, "anything else").starts_with("Hello"));
}

#[test]
fn reminders_are_no_wish() {
    let text = "<system-reminder>\nwrite a tool with: care\n</system-reminder>Reply with exactly: pong";
    assert_eq!(super::super::plain(text), "Reply with exactly: pong");
    assert!(super::super::is_reminder("<system-reminder>only this</system-reminder>\n"));
    assert!(!super::super::is_reminder("hello"));
}
