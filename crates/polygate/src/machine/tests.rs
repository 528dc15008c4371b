//! The platform data of machines, and the text that Polygate sends for them.

use http::HeaderValue;
use rstest::rstest;

use super::*;

#[rstest]
#[case::debian(
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n",
    Some("Debian 12.0.0")
)]
#[case::ubuntu("NAME=\"Ubuntu\"\r\nVERSION_ID=\"24.04\"\r\nID=ubuntu\r\nID_LIKE=debian\r\n", Some("Ubuntu 24.4.0"))]
#[case::alpine("NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\n", Some("Alpine Linux 3.20.3"))]
#[case::red_hat("ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"", Some("Red Hat Enterprise Linux 9.4.0"))]
#[case::single_quotes("ID='fedora'\nVERSION_ID='41'", Some("Fedora 41.0.0"))]
#[case::amazon("ID=\"amzn\"\nVERSION_ID=\"2018.03\"", Some("Amazon Linux AMI 2018.3.0"))]
#[case::rolling("NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n", Some("Arch Linux Unknown"))]
#[case::nameless_version("ID=debian\nVERSION_ID=\"\"", Some("Debian Unknown"))]
#[case::no_number("ID=debian\nVERSION_ID=\"trixie/sid\"", Some("Debian trixie/sid"))]
#[case::four_numbers("ID=opensuse-leap\nVERSION_ID=15.6.1.2", Some("openSUSE 15.6.1.2"))]
#[case::unknown("NAME=\"My Linux\"\nID=mine\nVERSION_ID=1", None)]
#[case::only_like_one("ID_LIKE=debian\nVERSION_ID=12", None)]
#[case::commented("#ID=debian", None)]
#[case::empty("", None)]
fn distributions(#[case] release: &str, #[case] os: Option<&str>) {
    assert_eq!(linux(release).as_deref(), os);
}

#[rstest]
#[case(
    "<dict>\n\t<key>ProductName</key>\n\t<string>macOS</string>\n\t<key>ProductVersion</key>\n\t<string>15.6.1</string>\n</dict>",
    Some("Mac OS 15.6.1")
)]
#[case("<key>ProductVersion</key><string>26.0</string>", Some("Mac OS 26.0.0"))]
#[case("<key>ProductVersion</key>", None)]
#[case("", None)]
fn macs(#[case] plist: &str, #[case] os: Option<&str>) {
    assert_eq!(mac(plist).as_deref(), os);
}

#[test]
fn only_macs_have_another_processor_name() {
    let cases = [("macos", "aarch64", "arm64"), ("macos", "x86_64", "x86_64"), ("linux", "aarch64", "aarch64")];
    for (os, known, expected) in cases {
        assert_eq!(arch(os, known), expected);
    }
}

#[rstest]
#[case::captured(&[("TERM", "xterm")], Some("xterm"))]
#[case::program(&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app"), ("TERM_PROGRAM_VERSION", "3.5.1")], Some("iTerm.app/3.5.1"))]
#[case::program_alone(&[("TERM_PROGRAM", "vscode"), ("TERM_PROGRAM_VERSION", "")], Some("vscode"))]
#[case::odd(&[("TERM_PROGRAM", "My Term(é)\n")], Some("My_Term____"))]
#[case::empty(&[("TERM_PROGRAM", " "), ("TERM", "")], None)]
#[case::service(&[], None)]
fn terminals(#[case] env: &[(&str, &str)], #[case] expected: Option<&str>) {
    let lookup = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    assert_eq!(terminal(lookup).as_deref(), expected);
}

/// The platform of every machine can be sent in a header.
#[test]
fn this_platform_fits_in_a_header() {
    let Platform { os, arch, terminal } = platform();
    for value in [os, arch, terminal] {
        assert!(!value.is_empty() && HeaderValue::from_str(&value).is_ok(), "{value}");
    }
}
