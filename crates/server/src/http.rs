//! Clients of HTTP that can be made on every host.

use reqwest::{Client, ClientBuilder};

/// Builds a client, also on a host without the certificates of any authority, as a fresh Debian is: there it speaks plain HTTP and
/// refuses every `https://` address.
///
/// # Errors
///
/// What the builder says without certificates, too.
pub fn client(builder: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    builder().build().or_else(|_| {
        tracing::warn!(
            "this host has no certificates of authorities, so no https:// address is trusted: install ca-certificates"
        );
        builder().tls_certs_only([]).build()
    })
}
