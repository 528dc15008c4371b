//! Row S21: a node is stopped while it holds a refresh lease. Another node takes over within a minute. When the first node continues, its
//! new tokens are stored only while the stored refresh token is the one that it spent.

use std::process::Command;
use std::time::{Duration, Instant};

use pool::Status;

use crate::cluster::Cluster;
use crate::common::{Answer, Gateway, Home};
use crate::fleet::Fleet;

/// Two gateways on one database with one account; the first gateway is stopped at a failpoint, with its lease.
struct Nodes {
    stopped: Gateway,
    other: Gateway,
    home: Home,
    _second: Home,
    fleet: Fleet,
    _cluster: Cluster,
}

impl Nodes {
    async fn stopped_at(point: &str) -> Option<Self> {
        let cluster = Cluster::start()?;
        let (fleet, home) = Fleet::new(1, Some(cluster.url())).await;
        let stopped = home.serve(&[("POLYGATE_STOP_AT", point)]);
        fleet.expire();
        let state = format!("/proc/{}/stat", stopped.child.id());
        let still = async {
            while !std::fs::read_to_string(&state).unwrap().contains(") T ") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            answer = stopped.chat("hello") => panic!("it was not stopped: {answer:?}"),
            () = still => {}
        }
        let second = fleet.home();
        let other = second.serve(&[]);
        Some(Self { stopped, other, home, _second: second, fleet, _cluster: cluster })
    }

    /// Makes the other node refresh the account, which works as soon as the lease has ended.
    async fn take_over(&self) -> Answer {
        let begun = Instant::now();
        let account = self.fleet.first(&self.other).await;
        let answer = self.fleet.refresh(&self.other, &account).await;
        println!("taken over within {:.1?}", begun.elapsed());
        answer
    }

    /// Continues the stopped node, and waits until it has finished its refresh.
    async fn go_on(&self) -> u16 {
        let pid = self.stopped.child.id().to_string();
        assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
        self.stopped.chat("Reply with exactly: pong").await.unwrap().status
    }

    fn uses(&self) -> (usize, usize) {
        let refreshes = self.fleet.backend.record().refreshes;
        (refreshes.len(), refreshes.iter().filter(|refresh| refresh.reused).count())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stopped_before_its_call_does_not_make_it_later() {
    let Some(nodes) = Nodes::stopped_at("engine::before_refresh_post").await else { return };
    let answer = nodes.take_over().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(nodes.go_on().await, 200, "it serves with the other's token");
    assert_eq!(nodes.uses(), (1, 0), "one use of one token");
    let Nodes { fleet, home, .. } = &nodes;
    fleet.judge(home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_of_a_stopped_node_clears_needs_login() {
    let Some(nodes) = Nodes::stopped_at("engine::before_refresh_commit").await else { return };
    let spent = nodes.fleet.logins[0].refresh.clone();
    // The token is used up, and only the stopped node has its successor: the other node can only ask for a login.
    let answer = nodes.take_over().await;
    assert!(answer.status == 502 && answer.body.contains("needs_login"), "{answer:?}");
    assert_eq!(nodes.go_on().await, 200);
    assert_eq!(nodes.uses(), (2, 1), "one extra use, by the one that took over");
    let store = nodes.fleet.store(&nodes.home).await;
    let account = store.accounts().await.unwrap().remove(0);
    assert_eq!(account.status, Status::Active);
    let tokens = store.tokens(&account.id).await.unwrap().unwrap();
    assert_ne!(tokens.refresh.unwrap().expose(), spent, "the late tokens are the good ones");
    store.close().await;
}
