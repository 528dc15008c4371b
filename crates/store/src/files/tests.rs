use tempfile::TempDir;

use super::*;

#[test]
fn a_new_file_is_whole_or_not_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    std::fs::write(with_suffix(&path, ".new"), "a torn draft").unwrap();
    write_new(&path, b"content").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"content");
    assert!(!with_suffix(&path, ".new").exists());
    check(&path, PathKind::File).unwrap();
}

#[test]
fn creating_never_replaces() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    create(&path).unwrap();
    assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(copy(&path, &path).is_err());
    remove(&path).unwrap();
    remove(&path).unwrap();
}
