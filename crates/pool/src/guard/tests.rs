use rstest::rstest;

use super::*;

const PUBLIC: [&str; 14] = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808",
    "2002:808:808::1",
];

const PRIVATE: [&str; 42] = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
    "127.255.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:0:192.168.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "2001::1", "2001:db8::1", "2002:7f00:1::1",
    "2002:c0a8:1::1", "2600::5efe:10.0.0.1", "100::1", "3fff::1", "fc00::1", "fdff::1", "fe80::1", "ff02::1",
];

const METADATA: [&str; 22] = [
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "169.254.255.255", "100.100.100.200",
    "192.0.0.192", "168.63.129.16", "::169.254.169.254", "::ffff:169.254.169.254", "::ffff:100.100.100.200",
    "::ffff:0:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::",
    "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "2001::5601:5601", "2600::200:5efe:169.254.169.254", "fd00:ec2::254",
    "fd20:ce::254", "fe80::a9fe:a9fe",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn public_addresses_may_be_dialled() {
    for text in PUBLIC {
        assert_eq!(check_ip(ip(text), false), Ok(()), "{text}");
    }
}

#[test]
fn private_addresses_need_leave() {
    for text in PRIVATE {
        let denied = check_ip(ip(text), false).unwrap_err();
        assert!(matches!(denied, Denied::Private(_)) && denied.liftable(), "{text}: {denied:?}");
        assert_eq!(check_ip(ip(text), true), Ok(()), "{text}");
    }
}

#[test]
fn metadata_addresses_may_never_be_dialled() {
    for text in METADATA {
        for allow in [false, true] {
            assert_eq!(check_ip(ip(text), allow), Err(Denied::Metadata), "{text}");
        }
    }
    assert!(!Denied::Metadata.liftable() && !Denied::Own.liftable());
}

#[rstest]
#[case("https://api.example.com/v1")]
#[case("https://api.example.com:443/v1")]
#[case("https://api.example.com:8443/v1")]
#[case("https://api.example.com:80/v1")]
#[case("https://1.1.1.1/")]
#[case("https://[2606:4700::1111]:8443")]
#[case("https://bücher.example/v1")]
#[case("https://localhost.example.com")]
#[case("https://notlocalhost/")]
#[case("https://api.example.com\\@x:y@127.0.0.1")]
#[case("https://notmetadata.google.internal/")]
fn urls_that_may_be_called(#[case] url: &str) {
    assert_eq!(check_url(&Url::parse(url).unwrap(), false), Ok(()));
}

#[rstest]
#[case::plain("http://api.example.com/v1", "plain http")]
#[case::name("https://localhost:11434", "localhost")]
#[case::under("https://a.localhost", "localhost")]
#[case::dot("https://LOCALHOST./", "localhost")]
#[case::loopback("https://127.0.0.1:11434", "loopback")]
#[case::octal("https://0177.0.0.1", "loopback")]
#[case::hex("https://0x7f000001", "loopback")]
#[case::decimal("https://2130706433", "loopback")]
#[case::short("https://127.1", "loopback")]
#[case::dotted("https://127.0.0.1./", "loopback")]
#[case::wide("https://１２７.0.0.1", "loopback")]
#[case::circled("https://①②⑦.0.0.1", "loopback")]
#[case::mapped("https://[::ffff:7f00:1]", "loopback")]
#[case::any("https://0.0.0.0:8080", "unspecified")]
#[case::any6("https://[::]:8080", "unspecified")]
#[case::private("https://10.1.2.3", "private")]
#[case::backslash("https://127.0.0.1\\@api.example.com/", "loopback")]
fn urls_that_need_leave(#[case] url: &str, #[case] expected: &str) {
    let url = Url::parse(url).unwrap();
    let denied = check_url(&url, false).unwrap_err();
    assert!(denied.liftable() && denied.to_string().contains(expected), "{denied}");
    assert_eq!(check_url(&url, true), Ok(()));
}

#[rstest]
#[case::metadata("http://169.254.169.254/latest/meta-data", "metadata")]
#[case::metadata_name("https://metadata.google.internal", "metadata")]
#[case::metadata_dot("https://METADATA.google.internal./", "metadata")]
#[case::metadata_bare("http://metadata/v1", "metadata")]
#[case::metadata_under("https://x.metadata.goog", "metadata")]
#[case::metadata_mapped("https://[::ffff:a9fe:a9fe]/", "metadata")]
#[case::metadata_decimal("http://2852039166/", "metadata")]
#[case::instance("https://instance-data.ec2.internal/", "metadata")]
#[case::user("https://api.example.com@1.1.1.1/v1", "user name")]
#[case::password("https://:secret@api.example.com/v1", "user name")]
#[case::query("https://api.example.com/v1?key=secret", "query")]
#[case::fragment("https://api.example.com/v1#a", "query")]
#[case::ssh("https://api.example.com:22", "port 22")]
#[case::mail("https://api.example.com:25", "port 25")]
#[case::zero("https://api.example.com:0", "port 0")]
#[case::dots("https://./", "no host")]
#[case::more_dots("https://0x7f.1../", "no host")]
#[case::inner_dots("https://metadata..google.internal/", "no host")]
#[case::first_dot("https://.localhost/", "no host")]
#[case::file("file:///etc/passwd", "scheme file")]
#[case::gopher("gopher://127.0.0.1:6379/_x", "scheme gopher")]
#[case::socket("ws://api.example.com", "scheme ws")]
fn urls_that_are_never_called(#[case] url: &str, #[case] expected: &str) {
    let parsed = Url::parse(url).unwrap();
    for allow in [false, true] {
        let denied = check_url(&parsed, allow).unwrap_err();
        assert!(!denied.liftable() && denied.to_string().contains(expected), "{denied}");
        assert!(!denied.to_string().contains("secret"), "{denied}");
    }
}

#[rstest]
#[case::same("127.0.0.1:8080", "127.0.0.1:8080", true)]
#[case::other_port("127.0.0.1:8081", "127.0.0.1:8080", false)]
#[case::other_loopback("127.0.0.2:8080", "127.0.0.1:8080", false)]
#[case::mapped("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", true)]
#[case::unspecified_target("0.0.0.0:8080", "127.0.0.1:8080", true)]
#[case::unspecified_target6("[::]:8080", "[::1]:8080", true)]
#[case::all("127.0.0.2:8080", "0.0.0.0:8080", true)]
#[case::all_local("192.168.1.7:8080", "[::]:8080", true)]
#[case::all_elsewhere("192.168.1.8:8080", "0.0.0.0:8080", false)]
#[case::one_address("192.168.1.7:8080", "192.168.1.7:8080", true)]
#[case::one_address_only("192.168.1.7:8080", "127.0.0.1:8080", false)]
fn our_own_listeners_are_known(#[case] target: &str, #[case] listener: &str, #[case] ours: bool) {
    let local = |address: IpAddr| address == ip("192.168.1.7");
    assert_eq!(is_own_listener(target.parse().unwrap(), &[listener.parse().unwrap()], local), ours);
}
