//! Facts about known services by host, as of 2026: the protocol and the path of the API. Other hosts get the defaults. What they take
//! differently is in [`proto::quirks`].

use proto::Wire;
use proto::quirks::GOOGLE;
use url::Url;

/// A service: its host, the protocol to prefer, and the path of its API in OpenAI's protocols.
pub(super) struct Known {
    pub(super) host: &'static str,
    pub(super) wire: Wire,
    pub(super) path: &'static str,
}

const fn known(host: &'static str, wire: Wire, path: &'static str) -> Known {
    Known { host, wire, path }
}

const KNOWN: [Known; 21] = [
    known("api.openai.com", Wire::Responses, "/v1"),
    known("api.anthropic.com", Wire::Messages, "/v1"),
    known(GOOGLE, Wire::Gemini, "/v1beta/openai"),
    known("openrouter.ai", Wire::Chat, "/api/v1"),
    known("api.groq.com", Wire::Chat, "/openai/v1"),
    known("api.fireworks.ai", Wire::Chat, "/inference/v1"),
    known("api.deepinfra.com", Wire::Chat, "/v1/openai"),
    known("api.cohere.ai", Wire::Chat, "/compatibility/v1"),
    known("api.cohere.com", Wire::Chat, "/compatibility/v1"),
    known("api.perplexity.ai", Wire::Chat, ""),
    known("models.github.ai", Wire::Chat, "/inference"),
    known("models.inference.ai.azure.com", Wire::Chat, ""),
    known("dashscope.aliyuncs.com", Wire::Chat, "/compatible-mode/v1"),
    known("dashscope-intl.aliyuncs.com", Wire::Chat, "/compatible-mode/v1"),
    known("open.bigmodel.cn", Wire::Chat, "/api/paas/v4"),
    known("api.z.ai", Wire::Chat, "/api/paas/v4"),
    known("qianfan.baidubce.com", Wire::Chat, "/v2"),
    known("ark.cn-beijing.volces.com", Wire::Chat, "/api/v3"),
    known("api.deepseek.com", Wire::Chat, "/v1"),
    known("api.mistral.ai", Wire::Chat, "/v1"),
    known("api.x.ai", Wire::Chat, "/v1"),
];

/// The service at a URL.
pub(super) fn service(url: &Url) -> Option<&'static Known> {
    let host = url.host_str()?;
    KNOWN.iter().find(|known| known.host == host)
}

/// The host of a base URL.
pub(super) fn host(base_url: &str) -> Option<String> {
    Url::parse(base_url).ok()?.host_str().map(str::to_owned)
}

/// Whether it is Google's own Gemini API, which has OpenAI's endpoints below `/openai`.
pub(super) fn google(base_url: &str) -> bool {
    host(base_url).is_some_and(|host| host == GOOGLE)
}
