use tempfile::TempDir;

use super::*;

#[test]
fn the_reserve_is_released_once_and_refilled_later() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("reserve");
    let reserve = DiskReserve::open(path.clone());
    assert!(reserve.is_filled());
    assert_eq!(files::size(&path), SIZE);
    assert!(reserve.release());
    assert!(!reserve.is_filled() && !path.exists());
    assert!(!reserve.release(), "there is nothing left to give");
    assert!(!reserve.due(), "too early");
    *reserve.state.lock() = ReserveState::Released { since: Instant::now().checked_sub(REFILL).unwrap() };
    assert!(reserve.due() && !reserve.due(), "one of many takes it");
    reserve.fill();
    assert!(reserve.is_filled());
    assert_eq!(files::size(&path), SIZE);
}

/// The disk may be slow, and every writer checks the reserve meanwhile.
#[tokio::test]
async fn the_refill_runs_on_another_thread() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("reserve");
    let reserve = Arc::new(DiskReserve::open(path.clone()));
    assert!(reserve.release());
    *reserve.state.lock() = ReserveState::Released { since: Instant::now().checked_sub(REFILL).unwrap() };
    let caller = std::thread::current().id();
    reserve.refill();
    // This thread runs nothing else until here, so only another thread can have filled the reserve.
    while !reserve.is_filled() {
        std::thread::yield_now();
    }
    assert_eq!(caller, std::thread::current().id());
    assert_eq!(files::size(&path), SIZE);
}

#[test]
fn a_full_disk_does_not_prevent_opening() {
    let folder = TempDir::new().unwrap();
    let reserve = DiskReserve::open(folder.path().join("missing/reserve"));
    assert!(!reserve.is_filled() && !reserve.release());
}
