//! This machine's platform in the form of the official client's User-Agent: system name and three version numbers. Captured: `(Debian
//! 12.0.0; x86_64) xterm`.

#[cfg(test)]
mod tests;

use upstream::profile::Platform;

/// The file that names the Linux distribution.
const RELEASE: &str = "/etc/os-release";
/// The file that holds the macOS version.
const MAC: &str = "/System/Library/CoreServices/SystemVersion.plist";

/// The official client's names of the distributions, by their `ID`.
const NAMES: &[(&str, &str)] = &[
    ("almalinux", "AlmaLinux"),
    ("alpine", "Alpine Linux"),
    ("amzn", "Amazon Linux AMI"),
    ("arch", "Arch Linux"),
    ("archarm", "Arch Linux"),
    ("centos", "CentOS"),
    ("debian", "Debian"),
    ("fedora", "Fedora"),
    ("kali", "Kali Linux"),
    ("linuxmint", "Linux Mint"),
    ("nixos", "NixOS"),
    ("opensuse", "openSUSE"),
    ("opensuse-leap", "openSUSE"),
    ("opensuse-tumbleweed", "openSUSE"),
    ("rhel", "Red Hat Enterprise Linux"),
    ("rocky", "Rocky Linux"),
    ("sled", "SUSE Linux Enterprise Server"),
    ("sles", "SUSE Linux Enterprise Server"),
    ("ubuntu", "Ubuntu"),
];

/// This machine's platform; unknown parts have their defaults.
pub(crate) fn platform() -> Platform {
    let known = Platform::default();
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let os = match std::env::consts::OS {
        "linux" => linux(&read(RELEASE)),
        "macos" => mac(&read(MAC)),
        _ => None,
    };
    Platform {
        os: os.unwrap_or(known.os),
        arch: arch(std::env::consts::OS, &known.arch).to_owned(),
        terminal: terminal(|name| std::env::var(name).ok()).unwrap_or(known.terminal),
    }
}

/// The distribution of an `os-release` file; `None` for a distribution that the official client does not know either.
fn linux(release: &str) -> Option<String> {
    let value = |name: &str| {
        let find = |line: &str| line.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        release.lines().find_map(find).map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    let id = value("ID")?;
    let (_, name) = NAMES.iter().find(|(known, _)| *known == id)?;
    let version = value("VERSION_ID").filter(|version| !version.is_empty());
    // A rolling release has no version.
    Some(format!("{name} {}", version.map_or("Unknown".to_owned(), |version| numbers(&version))))
}

/// The version in the plist of macOS.
fn mac(plist: &str) -> Option<String> {
    let (_, after) = plist.split_once("<key>ProductVersion</key>")?;
    let (version, _) = after.trim_start().strip_prefix("<string>")?.split_once("</string>")?;
    Some(format!("Mac OS {}", numbers(version)))
}

/// A version of one to three numbers, padded to three.
fn numbers(version: &str) -> String {
    let parts: Option<Vec<u64>> = version.trim().split('.').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([major]) => format!("{major}.0.0"),
        Some([major, minor]) => format!("{major}.{minor}.0"),
        Some([major, minor, patch]) => format!("{major}.{minor}.{patch}"),
        _ => version.trim().to_owned(),
    }
}

/// The processor's name; macOS has another name for ARM.
fn arch<'a>(os: &str, arch: &'a str) -> &'a str {
    if (os, arch) == ("macos", "aarch64") { "arm64" } else { arch }
}

/// The terminal of this process, in characters that a header allows.
fn terminal(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let env = |name| env(name).filter(|value| !value.trim().is_empty());
    let program = env("TERM_PROGRAM").map(|program| match env("TERM_PROGRAM_VERSION") {
        Some(version) => format!("{program}/{version}"),
        None => program,
    });
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_./".contains(c) { c } else { '_' };
    Some(program.or_else(|| env("TERM"))?.chars().map(safe).collect())
}
