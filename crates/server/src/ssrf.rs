//! The SSRF guard: what a URL of a stranger may make this server connect to.
//!
//! Two gates, because there are two ways in. A URL is judged when it is given and
//! before each request: scheme, user info, port, and an address written as such. A name
//! is judged by the addresses it resolves to, in the resolver that the connector itself
//! uses: what is checked is what is dialled, so a name that changes its mind in between gains nothing.
//! Redirects are not followed and proxies are not asked.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::{Config, Ports};

/// The policy, and the resolver that keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Guard(Arc<Policy>);

#[derive(Debug)]
struct Policy {
    allow_http: bool,
    allowed: Vec<IpNet>,
    ports: Vec<Ports>,
    resolver: Arc<dyn Resolver>,
}

/// How names become addresses: the system's way, or that of a test.
#[async_trait::async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of a name.
    ///
    /// # Errors
    /// When the name can't be resolved.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait::async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Why a URL is not taken. Reads as the end of "The 'url' value …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedUrl {
    #[error("must be an absolute URL, such as https://example.com/webhook")]
    NotAUrl,
    #[error("must begin with https://")]
    NotHttps,
    #[error("must begin with https:// or http://")]
    NotHttp,
    #[error("must not hold a user name or password")]
    UserInfo,
    #[error("must not use this port; the operator can allow it with --webhook-ports")]
    Port,
    #[error(
        "must not name a private, loopback or reserved address; the operator can allow networks \
         with --webhook-allow-networks"
    )]
    Forbidden,
}

impl Guard {
    pub(crate) fn new(config: &Config, resolver: Arc<dyn Resolver>) -> Self {
        Self(Arc::new(Policy {
            allow_http: config.webhook_allow_http,
            allowed: config.webhook_allow_networks.clone(),
            ports: config.webhook_ports.clone(),
            resolver,
        }))
    }

    /// Judges a URL as far as it can be judged without a resolver.
    pub(crate) fn check_url(&self, text: &str) -> Result<Url, RefusedUrl> {
        let url = Url::parse(text).map_err(|_| RefusedUrl::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if self.0.allow_http => {}
            _ if self.0.allow_http => return Err(RefusedUrl::NotHttp),
            _ => return Err(RefusedUrl::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RefusedUrl::UserInfo);
        }
        let port = url.port_or_known_default().ok_or(RefusedUrl::NotAUrl)?;
        if !self.0.ports.iter().any(|ports| ports.contains(port)) {
            return Err(RefusedUrl::Port);
        }
        // The parser has turned octal, decimal and hex forms of an address into the address.
        let allowed = match url.host() {
            Some(Host::Ipv4(ip)) => self.allows(ip.into()),
            Some(Host::Ipv6(ip)) => self.allows(ip.into()),
            Some(Host::Domain(name)) => self.allows_name(name),
            None => return Err(RefusedUrl::NotAUrl),
        };
        if allowed { Ok(url) } else { Err(RefusedUrl::Forbidden) }
    }

    /// A client that dials only what is allowed. Whoever has it must still judge each URL: one that holds an
    /// address asks no resolver.
    pub(crate) fn http(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(self.clone())
    }

    /// Whether this address may be dialled.
    fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.allowed.iter().any(|net| net.contains(&ip)) || is_public(ip)
    }

    /// `localhost` and its kind mean loopback whatever a resolver says (RFC 6761).
    fn allows_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return self.allows(Ipv4Addr::LOCALHOST.into())
                || self.allows(Ipv6Addr::LOCALHOST.into());
        }
        true
    }
}

/// A name resolved to nothing that may be dialled.
#[derive(Debug)]
struct NothingAllowed;

impl fmt::Display for NothingAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name resolves only to addresses that webhooks must not reach")
    }
}

impl std::error::Error for NothingAllowed {}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.0.resolver.resolve(name.as_str()).await?;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|ip| guard.allows(*ip))
                // The connector puts the URL's port in the place of 0.
                .map(|ip| SocketAddr::new(ip, 0))
                .collect();
            if allowed.is_empty() {
                return Err(NothingAllowed.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet. The IANA special-purpose
/// registries (RFC 6890) decide; what embeds an IPv4 address is judged by that address.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0                                // this network
        || ip.is_private()
        || (a == 100 && (64..=127).contains(&b))        // carrier-grade NAT
        || ip.is_loopback()
        || ip.is_link_local()
        || (a == 192 && b == 0 && c == 0)               // IETF protocol assignments
        || ip.is_documentation()
        || (a == 192 && b == 88 && c == 99)             // 6to4 relays
        || (a == 198 && (b == 18 || b == 19))           // benchmarking
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        // NAT64, well-known prefix (RFC 6052).
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => v4(g, h),
        // Teredo and the other protocol assignments (RFC 2928).
        (0x2001, 0..=0x1ff) => false,
        // Documentation (RFC 3849, RFC 9637).
        (0x2001, 0xdb8) => false,
        (0x3fff, 0..=0xfff) => false,
        // 6to4 (RFC 3056).
        (0x2002, _) => v4(b, c),
        // Only this is global unicast; ULA, link-local, multicast, mapped and the rest are outside.
        _ => (0x2000..=0x3fff).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow_http: bool, allowed: &[&str]) -> Guard {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let ports = vec!["1-65535".parse().unwrap()];
        Guard(Arc::new(Policy { allow_http, allowed, ports, resolver: Arc::new(SystemResolver) }))
    }

    #[test]
    fn only_public_addresses() {
        let strict = guard(false, &[]);
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://192.0.2.1/",
            "https://198.18.0.1/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
            "https://[2001:db8::1]/",
            "https://[::7f00:1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
        ] {
            assert_eq!(strict.check_url(url), Err(RefusedUrl::Forbidden), "{url}");
        }
        for url in ["https://example.com/hook", "https://8.8.8.8/", "https://[2606:4700::1]/"] {
            assert!(strict.check_url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn only_https_unless_allowed() {
        assert_eq!(guard(false, &[]).check_url("http://example.com"), Err(RefusedUrl::NotHttps));
        assert!(guard(true, &[]).check_url("http://example.com").is_ok());
        assert_eq!(guard(true, &[]).check_url("ftp://example.com"), Err(RefusedUrl::NotHttp));
        assert_eq!(
            guard(true, &[]).check_url("https://a:b@example.com"),
            Err(RefusedUrl::UserInfo)
        );
        for text in ["", "example.com", "https://", "/hook", "https:///x y"] {
            assert!(guard(true, &[]).check_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_allowed_network_is_allowed_in_every_form() {
        let dev = guard(true, &["127.0.0.0/8", "::1/128"]);
        for url in [
            "http://127.0.0.1:9/",
            "http://localhost:9/",
            "http://[::1]:9/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(dev.check_url(url).is_ok(), "{url}");
        }
        assert_eq!(dev.check_url("http://10.0.0.1/"), Err(RefusedUrl::Forbidden));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let name = || "localhost".parse::<Name>().unwrap();
        assert!(guard(true, &[]).resolve(name()).await.is_err());
        assert!(guard(true, &["127.0.0.0/8", "::1/128"]).resolve(name()).await.is_ok());
    }
}
