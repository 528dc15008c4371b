//! Values for the arguments of a call, taken from the prompt.

use serde_json::Value;

/// The places, the numbers and the text of a prompt.
#[derive(Clone, Debug, Default)]
pub(crate) struct PromptArguments {
    text: String,
    places: Vec<String>,
    numbers: Vec<i64>,
}

impl PromptArguments {
    pub(crate) fn new(prompt: &str) -> Self {
        let numbers = prompt.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok());
        let text = prompt.chars().take(200).collect();
        let mut numbers: Vec<i64> = numbers.collect();
        numbers.reverse();
        Self { text, places: places(prompt), numbers }
    }

    /// The values for the `at`th of several calls: the places are rotated, so that each call has its own place.
    pub(crate) fn turned(&self, at: usize) -> Self {
        let mut turned = self.clone();
        turned.places.rotate_left(at % self.places.len().max(1));
        turned
    }

    /// A string for a property of this name.
    pub(crate) fn string(&self, name: &str) -> String {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["city", "location", "place"])
            && let Some(place) = self.places.first()
        {
            return place.clone();
        }
        if has(&["query", "text", "message", "input", "prompt", "question"]) && !self.text.is_empty() {
            return self.text.clone();
        }
        "example".to_owned()
    }

    /// The next number of the prompt.
    pub(crate) fn number(&mut self) -> Option<i64> {
        self.numbers.pop()
    }
}

/// The words after the last " in ", one for each place: `in Paris and London`.
fn places(prompt: &str) -> Vec<String> {
    let Some((_, rest)) = prompt.rsplit_once(" in ") else { return Vec::new() };
    let phrase = rest.split(['?', '.', '!', '\n', ';']).next().unwrap_or_default();
    let names = phrase.split(" and ").flat_map(|part| part.split(", "));
    let names = names.map(|name| name.trim().trim_start_matches("both ").trim().to_owned());
    names.filter(|name| !name.is_empty() && name.len() < 60).collect()
}

/// The command of a `run: COMMAND` line.
pub(crate) fn command(prompt: &str) -> Option<&str> {
    prompt.lines().find_map(|line| {
        let line = line.trim();
        let head = line.get(..4).filter(|head| head.eq_ignore_ascii_case("run:"))?;
        Some(line[head.len()..].trim()).filter(|command| !command.is_empty())
    })
}

/// The X in `Reply with exactly: X`.
pub(crate) fn exact(prompt: &str) -> Option<&str> {
    const WORDS: &str = "reply with exactly:";
    let at = prompt.to_ascii_lowercase().rfind(WORDS)?;
    Some(prompt[at + WORDS.len()..].trim())
}

/// The N in `count to N`, at most 100,000.
pub(crate) fn count(prompt: &str) -> Option<u32> {
    const WORDS: &str = "count to ";
    let at = prompt.to_ascii_lowercase().rfind(WORDS)?;
    let digits: String = prompt[at + WORDS.len()..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(|n: u32| n.clamp(1, 100_000))
}

/// Whether a prompt has this word, case-insensitive.
pub(crate) fn contains_word(prompt: &str, word: &str) -> bool {
    prompt.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|part| part.eq_ignore_ascii_case(word))
}

/// Sets a property of an object.
pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}
