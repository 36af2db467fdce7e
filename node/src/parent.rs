//! Ends with the process that started this one: orphans keep their ports.

use std::time::Duration;

/// Waits until the parent is another than it was.
pub(crate) async fn gone() {
    let parent = nix::unistd::getppid();
    if parent.as_raw() <= 1 {
        // Nobody's child from the start.
        std::future::pending::<()>().await;
    }
    while nix::unistd::getppid() == parent {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
