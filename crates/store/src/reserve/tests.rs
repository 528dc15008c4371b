use tempfile::TempDir;

use super::*;

#[test]
fn the_room_is_given_up_once_and_taken_again_later() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("reserve");
    let reserve = Reserve::open(path.clone());
    assert!(reserve.held());
    assert_eq!(files::size(&path), SIZE);
    assert!(reserve.release());
    assert!(!reserve.held() && !path.exists());
    assert!(!reserve.release(), "there is nothing left to give");
    reserve.refill();
    assert!(!reserve.held(), "too early");
    *reserve.state.lock() = State::Spent { since: Instant::now().checked_sub(REFILL).unwrap() };
    reserve.refill();
    assert!(reserve.held());
    assert_eq!(files::size(&path), SIZE);
}

#[test]
fn no_room_is_no_reason_to_fail() {
    let folder = TempDir::new().unwrap();
    let reserve = Reserve::open(folder.path().join("missing/reserve"));
    assert!(!reserve.held() && !reserve.release());
}
