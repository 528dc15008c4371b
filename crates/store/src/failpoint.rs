//! Failpoints: named moments around every persistence step at which a test kills the process or fails the step.

use std::io;

/// The failpoints around one write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WritePoint {
    before: &'static str,
    after: &'static str,
    /// Whether the writing process needs no reload after this step.
    private: bool,
}

macro_rules! points {
    (
        steps { $($step:ident $before:literal $after:literal)* }
        private { $($own:ident $own_before:literal $own_after:literal)* }
        moments { $($moment:ident $name:literal)* }
    ) => {
        $(pub(crate) const $step: WritePoint = WritePoint { before: $before, after: $after, private: false };)*
        $(pub(crate) const $own: WritePoint = WritePoint { before: $own_before, after: $own_after, private: true };)*
        $(pub(crate) const $moment: &str = $name;)*
        /// Every failpoint of this crate, for tests that loop over them.
        pub const FAILPOINTS: &[&str] = &[$($before, $after,)* $($own_before, $own_after,)* $($name,)*];
    };
}

points! {
    steps {
        INSTALL "store::before_install" "store::after_install"
        SETTING "store::before_setting" "store::after_setting"
        ACCOUNT "store::before_account" "store::after_account"
        REMOVE "store::before_remove" "store::after_remove"
        OWNER "store::before_owner" "store::after_owner"
        LINK "store::before_link" "store::after_link"
        COMMIT "store::before_commit" "store::after_commit"
        END "store::before_end" "store::after_end"
        KEY "store::before_key" "store::after_key"
        REVOKE "store::before_revoke" "store::after_revoke"
        RELAY "store::before_relay" "store::after_relay"
        RELAY_REMOVE "store::before_relay_remove" "store::after_relay_remove"
        RELAY_STATUS "store::before_relay_status" "store::after_relay_status"
        PROXY "store::before_proxy" "store::after_proxy"
        PROXY_REMOVE "store::before_proxy_remove" "store::after_proxy_remove"
        PROXY_HEALTH "store::before_proxy_health" "store::after_proxy_health"
        EGRESS "store::before_egress" "store::after_egress"
    }
    private {
        STATUS "store::before_status" "store::after_status"
        QUOTA "store::before_quota" "store::after_quota"
        CREDIT "store::before_credit" "store::after_credit"
        LEASE "store::before_lease" "store::after_lease"
        INTENT "store::before_intent" "store::after_intent"
        COOKIES "store::before_cookies" "store::after_cookies"
        MODELS "store::before_models" "store::after_models"
        RELAY_MODELS "store::before_relay_models" "store::after_relay_models"
    }
    moments {
        KEY_WRITE "store::before_key_write"
        KEY_SYNC "store::before_key_sync"
        KEY_RENAME "store::before_key_rename"
        KEY_DONE "store::after_key_write"
        CREATE "store::before_create"
        CREATE_RENAME "store::before_create_rename"
        CREATE_DONE "store::after_create"
        MIGRATE "store::before_migrate"
        MIGRATE_COMMIT "store::before_migrate_commit"
        MIGRATE_DONE "store::after_migrate"
        USAGE_BEGIN "store::before_usage"
        USAGE_COMMIT "store::before_usage_commit"
        USAGE_DONE "store::after_usage"
        STATEMENT "store::statement"
        READ "store::read"
    }
}

impl WritePoint {
    /// Passes the failpoint before the write.
    pub(crate) fn before(self) -> io::Result<()> {
        hit(self.before)
    }

    /// Whether the writing process needs no reload after this step, because it holds the written state in memory or nothing reads that
    /// state.
    pub(crate) fn skips_reload(self) -> bool {
        self.private
    }

    /// Passes the failpoint after the write.
    pub(crate) fn after(self) -> io::Result<()> {
        hit(self.after)
    }
}

/// Passes the failpoint `name`, or fails there when a test configured it.
#[cfg_attr(not(feature = "failpoints"), expect(clippy::unnecessary_wraps, reason = "fails only with failpoints"))]
pub(crate) fn hit(name: &'static str) -> io::Result<()> {
    fail::fail_point!(name, |_| Err(io::Error::other(name)));
    let _ = name;
    Ok(())
}
