use rstest::rstest;

use super::*;

#[rstest]
#[case::socket("postgres://me@localhost/db?host=/run/postgresql", true)]
#[case::localhost("postgres://me@localhost/db", true)]
#[case::loopback("postgres://me@127.8.9.1/db", true)]
#[case::loopback_v6("postgres://me@[::1]/db", true)]
#[case::mapped("postgres://me@[::ffff:127.0.0.1]/db", true)]
#[case::another_machine("postgres://me@db.example/db", false)]
#[case::a_private_network("postgres://me@10.0.0.5/db", false)]
#[case::a_name_like_ours("postgres://me@localhost.example/db", false)]
#[case::encrypted("postgres://me@db.example/db?sslmode=require", false)]
#[case::the_name_is_not_checked("postgres://me@db.example/db?sslmode=verify-ca", false)]
#[case::verified("postgres://me@db.example/db?sslmode=verify-full", true)]
fn a_remote_server_needs_verify_full(#[case] url: &str, #[case] opens: bool) {
    let checked = require_verified_tls(&PgConnectOptions::from_str(url).unwrap());
    assert_eq!(checked.is_ok(), opens);
    if let Err(error) = checked {
        assert!(error.to_string().contains("hint: add ?sslmode=verify-full"), "{error}");
    }
}
