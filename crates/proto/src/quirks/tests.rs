use super::*;

#[test]
fn claude_generations_by_name() {
    let cases = [
        ("claude-3-5-sonnet-20241022", ClaudeThinking::Never),
        ("claude-2.1", ClaudeThinking::Never),
        ("claude-3-7-sonnet-latest", ClaudeThinking::Budget),
        ("anthropic/claude-sonnet-4", ClaudeThinking::Budget),
        ("claude-sonnet-4-20250514", ClaudeThinking::Budget),
        ("claude-opus-4-1-20250805", ClaudeThinking::Budget),
        ("claude-haiku-4-5-20251001", ClaudeThinking::Budget),
        ("claude-opus-4-6", ClaudeThinking::Adaptive),
        ("claude-opus-5-5", ClaudeThinking::Adaptive),
        ("claude-fable-5", ClaudeThinking::Adaptive),
        ("claude-next", ClaudeThinking::Adaptive),
        ("kimi-k3", ClaudeThinking::Budget),
    ];
    for (model, expected) in cases {
        assert_eq!(ClaudeThinking::of(model), expected, "{model}");
    }
}

#[test]
fn gemini_generations_by_name() {
    let flash = GeminiThinking::Level(&["minimal", "low", "medium", "high"]);
    let pro = GeminiThinking::Level(&["low", "medium", "high"]);
    let budget = |none, least, most| GeminiThinking::Budget { none, least, most };
    let cases = [
        ("gemini-2.0-flash", GeminiThinking::Unknown),
        ("gemini-2.5-pro", budget(128, 128, 32_768)),
        ("gemini-2.5-flash", budget(0, 128, 24_576)),
        ("gemini-2.5-flash-lite", budget(0, 512, 24_576)),
        ("gemini-3-pro-preview", GeminiThinking::Level(&["low", "high"])),
        ("google/gemini-3.1-pro", pro),
        ("gemini-3-flash", flash),
        ("gemini-pro-latest", pro),
        ("gemini-flash-latest", flash),
        ("gemma-3", GeminiThinking::Unknown),
    ];
    for (model, expected) in cases {
        assert_eq!(GeminiThinking::of(model), expected, "{model}");
    }
}

#[test]
fn fields_of_chat_by_name() {
    let cases = [
        ("gpt-5.5", "max_completion_tokens", false),
        ("openai/o3-mini", "max_completion_tokens", false),
        ("gpt-4.1", "max_tokens", false),
        ("deepseek-reasoner", "max_tokens", true),
        ("moonshotai/kimi-k3", "max_tokens", true),
    ];
    for (model, limit, thoughts) in cases {
        assert_eq!((output_limit(model), takes_thoughts(model)), (limit, thoughts), "{model}");
    }
}
