//! Scripts per client: the tool of a known client that writes a file or runs a command, and the tool's arguments.
//!
//! A prompt triggers a script by a line `write FILE with: TEXT`, `run: COMMAND` or `redraw FILE: TEXT`, or by `draw` or `search`
//! anywhere. Clients without tools (aider) get the text blocks that their own prompt describes; for them `edit FILE: OLD -> NEW` works too.

use serde_json::{Value, json};

use super::prompt_values::{self, PromptArguments};
use super::{ModelInput, ModelOutput, Tool, ToolKind, custom_call, function_call, schema};

/// Tools that write a whole file: of Claude Code, Gemini CLI, opencode, then of Cline, Roo, Continue and similar clients.
const WRITERS: [&str; 8] = [
    "Write", "write_file", "write", "write_to_file", "create_file", "create_new_file", "builtin_create_new_file",
    "editor",
];
const PATHS: [&str; 5] = ["file_path", "filePath", "filepath", "path", "filename"];
const CONTENTS: [&str; 5] = ["content", "contents", "file_text", "text", "new_text"];
/// The argument with a patch: Codex's name, then opencode's.
const PATCHES: [&str; 3] = ["input", "patchText", "patch"];
/// Tools that run a command, and the argument with the command.
const SHELLS: [(&str, &str, Argument); 9] = [
    ("exec_command", "cmd", Argument::Line),
    ("shell_command", "command", Argument::Line),
    ("shell", "command", Argument::Words),
    ("bash", "command", Argument::Line),
    ("Bash", "command", Argument::Line),
    ("run_shell_command", "command", Argument::Line),
    ("execute_command", "command", Argument::Line),
    ("run_terminal_command", "command", Argument::Line),
    ("run_commands", "commands", Argument::List),
];

/// Codex's image tool, and the tool's name inside the code of `exec`.
const ARTIST: (&str, &str) = ("imagegen", "image_gen__imagegen");
/// Codex's web search tool, inside the code of `exec`.
const SEARCHER: &str = "web__run";

#[derive(Clone, Copy)]
enum Argument {
    /// The command as one string.
    Line,
    /// A program and its arguments.
    Words,
    /// Several commands.
    List,
}

/// A file to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

/// The call of a known tool that does the prompt's task.
pub(super) fn call(topic: &ModelInput<'_>, offered: &[&Tool<'_>]) -> Option<ModelOutput> {
    match file(&topic.prompt) {
        Some(file) => write(topic, offered, file)
            .or_else(|| patch(offered, file))
            .or_else(|| shell(offered, &format!("printf '%s\\n' {} > {}", quoted(file.text), quoted(file.name)))),
        None => match prompt_values::command(&topic.prompt) {
            Some(command) => shell(offered, command),
            None => draw(topic, offered).or_else(|| search(topic, offered)),
        },
    }
}

fn write(topic: &ModelInput<'_>, offered: &[&Tool<'_>], file: File<'_>) -> Option<ModelOutput> {
    let tool = WRITERS.iter().find_map(|name| offered.iter().find(|tool| tool.name == *name))?;
    let schema = tool.schema?;
    let has = |key: &&&str| schema["properties"].get(**key).is_some();
    let (path, content) = (PATHS.iter().find(has)?, CONTENTS.iter().find(has)?);
    let mut arguments = schema::sample(schema, &mut PromptArguments::default());
    prompt_values::set(&mut arguments, path, json!(absolute(topic.body, file.name)));
    prompt_values::set(&mut arguments, content, json!(format!("{}\n", file.text)));
    Some(function_call(tool, arguments))
}

fn patch(offered: &[&Tool<'_>], file: File<'_>) -> Option<ModelOutput> {
    let tool = offered.iter().find(|tool| tool.name == "apply_patch")?;
    let patch = format!("*** Begin Patch\n*** Add File: {}\n+{}\n*** End Patch\n", file.name, file.text);
    if tool.kind == ToolKind::Custom {
        return Some(custom_call(tool, patch));
    }
    let schema = tool.schema?;
    let key = PATCHES.iter().find(|key| schema["properties"].get(**key).is_some())?;
    let mut arguments = schema::sample(schema, &mut PromptArguments::default());
    prompt_values::set(&mut arguments, key, json!(patch));
    Some(function_call(tool, arguments))
}

/// A call of a tool that runs commands.
fn shell(offered: &[&Tool<'_>], command: &str) -> Option<ModelOutput> {
    let find = |name: &str| offered.iter().find(|tool| tool.name == name);
    for (name, key, argument) in SHELLS {
        let Some(tool) = find(name).filter(|tool| tool.kind == ToolKind::Function) else { continue };
        let mut arguments =
            tool.schema.map_or_else(|| json!({}), |schema| schema::sample(schema, &mut PromptArguments::default()));
        let value = match argument {
            Argument::Line => json!(command),
            Argument::Words => json!(["bash", "-lc", command]),
            Argument::List => json!([command]),
        };
        prompt_values::set(&mut arguments, key, value);
        return Some(function_call(tool, arguments));
    }
    let tool = find("exec").filter(|tool| tool.kind == ToolKind::Custom)?;
    let arguments = json!({ "cmd": command });
    Some(custom_call(tool, format!("const result = await tools.exec_command({arguments});\ntext(result.output);\n")))
}

/// An image by the client's own tool, if the API's tool is not offered.
fn draw(topic: &ModelInput<'_>, offered: &[&Tool<'_>]) -> Option<ModelOutput> {
    if topic.tools.iter().any(|tool| tool.kind == ToolKind::Image) {
        return None;
    }
    let arguments = picture(topic)?;
    let (name, inside) = ARTIST;
    if let Some(tool) = offered.iter().find(|tool| tool.kind == ToolKind::Function && tool.name == name) {
        return Some(function_call(tool, arguments));
    }
    code(topic, offered, inside, format!("generatedImage(await tools.{inside}({arguments}));\n"))
}

/// A search by the client's own tool, if the API's tool is not offered.
fn search(topic: &ModelInput<'_>, offered: &[&Tool<'_>]) -> Option<ModelOutput> {
    if !prompt_values::contains_word(&topic.prompt, "search")
        || topic.tools.iter().any(|tool| tool.kind == ToolKind::Search)
    {
        return None;
    }
    let arguments = json!({ "search_query": [{ "q": topic.prompt }] });
    code(topic, offered, SEARCHER, format!("text(await tools.{SEARCHER}({arguments}));\n"))
}

/// A script for the tool that runs code, if the request's text names the tool that the script calls.
fn code(topic: &ModelInput<'_>, offered: &[&Tool<'_>], inside: &str, script: String) -> Option<ModelOutput> {
    let tool = offered.iter().find(|tool| tool.kind == ToolKind::Custom && tool.name == "exec")?;
    find(topic.body, &mut |text| text.contains(inside).then_some(()))?;
    Some(custom_call(tool, script))
}

/// The arguments of Codex's image tool: a new image, a file to change, or `it`, the last image of the conversation.
fn picture(topic: &ModelInput<'_>) -> Option<Value> {
    let redrawn = |line| after(line, "redraw ")?.split_once(": ");
    match topic.prompt.lines().find_map(redrawn) {
        Some(("it", text)) => Some(json!({ "prompt": text, "num_last_images_to_include": 1 })),
        Some((name, text)) => Some(json!({ "prompt": text, "referenced_image_paths": [absolute(topic.body, name)] })),
        None => prompt_values::contains_word(&topic.prompt, "draw").then(|| json!({ "prompt": topic.prompt })),
    }
}

/// FILE and TEXT of a `write FILE with: TEXT` line.
fn file(prompt: &str) -> Option<File<'_>> {
    prompt.lines().find_map(|line| {
        let rest = after(line, "write ")?;
        let at = rest.to_ascii_lowercase().find(" with: ")?;
        let words = rest[..at].trim();
        let name = ["the file ", "a file ", "file "].iter().find_map(|lead| after(words, lead)).unwrap_or(words);
        let name = name.trim_matches(['`', '"', '\'']);
        let text = rest[at + " with: ".len()..].trim();
        (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(File { name, text })
    })
}

/// The text after a word at the start of a line, case-insensitive.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let line = line.trim();
    line.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
    Some(line[word.len()..].trim_start())
}

/// A text as a quoted shell word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// An absolute path in the client's working directory, because tools that write files require one.
fn absolute(body: &Value, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    match folder(body) {
        Some(folder) => format!("{}/{name}", folder.trim_end_matches('/')),
        None => name.to_owned(),
    }
}

/// The working directory, from the context that a client sends.
fn folder(body: &Value) -> Option<String> {
    const MARKS: [&str; 5] =
        ["orking directory: ", "orking in the directory: ", "<cwd>", "orkspace Directories:\n  - ", "cwd: "];
    find(body, &mut |text| {
        MARKS.iter().find_map(|mark| {
            let rest = &text[text.find(mark)? + mark.len()..];
            let folder = rest.split(['\n', '<']).next()?.trim();
            folder.starts_with('/').then(|| folder.to_owned())
        })
    })
}

/// The first match in any string of a body.
fn find<T>(value: &Value, look: &mut dyn FnMut(&str) -> Option<T>) -> Option<T> {
    match value {
        Value::String(text) => look(text),
        Value::Array(values) => values.iter().find_map(|value| find(value, look)),
        Value::Object(members) => members.values().find_map(|value| find(value, look)),
        _ => None,
    }
}

/// The text blocks of a client that edits files without tools, in the form that its prompt describes.
pub(super) fn blocks(topic: &ModelInput<'_>) -> Option<String> {
    if !topic.tools.is_empty() {
        return None;
    }
    let (name, old, new) = match file(&topic.prompt) {
        Some(file) => (file.name, String::new(), format!("{}\n", file.text)),
        None => edit(&topic.prompt)?,
    };
    let speaks = |word: &str| find(topic.body, &mut |text| text.contains(word).then_some(())).is_some();
    if speaks("SEARCH/REPLACE") {
        let block = format!("<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE");
        return Some(format!("Here is the change.\n\n{name}\n```\n{block}\n```\n"));
    }
    speaks("file listing").then(|| format!("Here is the file.\n\n{name}\n```\n{new}```\n"))
}

/// FILE, OLD and NEW of an `edit FILE: OLD -> NEW` line.
fn edit(prompt: &str) -> Option<(&str, String, String)> {
    prompt.lines().find_map(|line| {
        let (name, change) = after(line, "edit ")?.split_once(": ")?;
        let (old, new) = change.split_once(" -> ")?;
        Some((name.trim(), format!("{}\n", old.trim()), format!("{}\n", new.trim())))
    })
}

#[cfg(test)]
mod tests;
