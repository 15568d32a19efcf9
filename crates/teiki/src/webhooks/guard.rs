//! Which addresses webhooks may be sent to: a merchant's URL must not make this server reach what only it can reach.
//!
//! [`parse`] checks a URL when an endpoint is made and before each attempt; [`addresses`] resolves its host once and refuses it
//! if any address is not public. Whoever connects uses the addresses that were checked, and no others. The list of what is
//! public says what is allowed in IPv6 and what is not in IPv4; it follows the registries of IANA for special addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use billing::mode::Mode;
use url::{Host, Url};

/// Longest URL, in characters, also as it is sent: a Japanese character is nine then.
pub const URL_MAX: usize = 500;
/// The ports that endpoints may have: that of https and its usual other one. Others are those of services that are not for
/// receiving webhooks.
pub const PORTS: [u16; 2] = [443, 8443];
/// Most addresses of one host that are looked at; with more it is refused.
const ADDRESSES_MAX: usize = 64;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// https to public addresses, on [`PORTS`].
    Public,
    /// Also http, any port, and private addresses: for trying things out, in test mode only.
    Private,
}

impl Reach {
    /// What an endpoint of this mode may reach. `allow_private`: what the server was started with.
    pub const fn of(mode: Mode, allow_private: bool) -> Self {
        match mode {
            Mode::Test if allow_private => Self::Private,
            Mode::Test | Mode::Live => Self::Public,
        }
    }
}

/// One text for both: who may name a host learns nothing of which names there are inside.
const UNREACHABLE: &str = "its host was not found, or is not a public one";

/// Why nothing is sent there. Names no address: what a name stands for inside is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no URL with a host, or too long.
    #[error("it is not a URL of at most {URL_MAX} characters, counted as it is sent, percent-encoded")]
    NotAUrl,
    /// It is not https.
    #[error("it must begin with https://")]
    Scheme,
    /// It holds a user name or a password.
    #[error("it must not hold a user name or a password")]
    Credentials,
    /// It holds a fragment, which is never sent.
    #[error("it must not have a part after #")]
    Fragment,
    /// Its port is none of [`PORTS`].
    #[error("its port must be 443 or 8443")]
    Port,
    /// Its host is an address that is not public, or stands for one.
    #[error("{UNREACHABLE}")]
    NotPublic,
    /// Its host stands for no address, or it could not be found out.
    #[error("{UNREACHABLE}")]
    NotFound,
}

/// A URL that may be sent to, if its host's addresses are public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The URL, in its usual spelling.
    pub url: Url,
    /// Its host: as resolved, and as the certificate must name it.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
}

/// Reads a URL as browsers do, so that `0x7f.1`, `２１３０７０６４３３` or a trailing dot are what they stand for.
pub fn parse(text: &str, reach: Reach) -> Result<Target, Refusal> {
    if text.chars().count() > URL_MAX
        || text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
    {
        return Err(Refusal::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| Refusal::NotAUrl)?;
    // What is stored and parsed again is what is sent: percent-encoded, and so perhaps longer.
    if url.as_str().len() > URL_MAX {
        return Err(Refusal::NotAUrl);
    }
    match (url.scheme(), reach) {
        ("https", _) | ("http", Reach::Private) => {}
        _ => return Err(Refusal::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Credentials);
    }
    if url.fragment().is_some() {
        return Err(Refusal::Fragment);
    }
    let host = url.host().ok_or(Refusal::NotAUrl)?.to_owned();
    let port = url.port_or_known_default().ok_or(Refusal::NotAUrl)?;
    if reach == Reach::Public {
        if !PORTS.contains(&port) {
            return Err(Refusal::Port);
        }
        if !may_be_public(&host) {
            return Err(Refusal::NotPublic);
        }
    }
    Ok(Target { url, host, port })
}

/// Whether a host could be public: an address that is, or a name with a dot in it that is not one of the machine's own.
fn may_be_public(host: &Host<String>) -> bool {
    match host {
        Host::Ipv4(address) => is_public(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_public(IpAddr::V6(*address)),
        Host::Domain(name) => {
            let last = name.rsplit('.').next().unwrap_or_default();
            name.contains('.') && !last.is_empty() && !["localhost", "local", "internal"].contains(&last)
        }
    }
}

/// The addresses to connect to, all of them checked. The host is resolved here and nowhere else.
pub async fn addresses(target: &Target, reach: Reach) -> Result<Vec<SocketAddr>, Refusal> {
    let found: Vec<SocketAddr> = match &target.host {
        Host::Ipv4(address) => vec![(*address, target.port).into()],
        Host::Ipv6(address) => vec![(*address, target.port).into()],
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.as_str(), target.port)).await;
            found.map_err(|_| Refusal::NotFound)?.take(ADDRESSES_MAX + 1).collect()
        }
    };
    if found.is_empty() || found.len() > ADDRESSES_MAX {
        return Err(Refusal::NotFound);
    }
    match reach {
        Reach::Public if !found.iter().all(|address| is_public(address.ip())) => Err(Refusal::NotPublic),
        Reach::Public | Reach::Private => Ok(found),
    }
}

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// What is not public in IPv4: first address and length of the prefix.
const NOT_PUBLIC_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carriers
    ([127, 0, 0, 0], 8),     // this machine
    ([169, 254, 0, 0], 16),  // link-local, and the metadata of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocols
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // AMT
    ([192, 88, 99, 0], 24),  // relays of 6to4
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // measuring
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !NOT_PUBLIC_V4.iter().any(|(first, length)| {
        let mask = u32::MAX << (32 - length);
        bits & mask == u32::from_be_bytes(*first)
    })
}

/// Of IPv6 only 2000::/3 is in use for the internet. Not public in it: what protocols use (2001::/23, with Teredo and ORCHID),
/// documentation (2001:db8::/32, 3fff::/20), 6to4 (2002::/16, which holds an IPv4 address), AS112 (2620:4f:8000::/48). Outside
/// of it are this machine, link-local and private addresses, and all that stand for IPv4 ones (`::ffff:0:0/96`, 64:ff9b::/96).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    let is_global = first & 0xe000 == 0x2000;
    let is_protocol = first == 0x2001 && second & 0xfe00 == 0;
    let is_documentation = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second & 0xf000 == 0);
    let is_6to4 = first == 0x2002;
    let is_as112 = first == 0x2620 && second == 0x004f && third == 0x8000;
    is_global && !is_protocol && !is_documentation && !is_6to4 && !is_as112
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
         169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.255 \
         192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 \
         203.0.112.255 203.0.114.0 223.255.255.255 2001:200::1 2400:cb00::1 2606:4700::1111 \
         2001:db7::1 2003::1 3ffe::1";
    const NOT_PUBLIC: &str = "0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 \
         169.254.0.1 169.254.169.254 172.16.0.0 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 \
         192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.0 198.19.255.255 \
         198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 \
         ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 \
         100::1 2001::1 2001:0:4136:e378::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 \
         2002::1 2002:7f00:1:: 2002:808:808:: 2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1 \
         fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1";

    #[test]
    fn public_addresses_are_told_from_all_others() {
        for address in PUBLIC.split_whitespace() {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
        for address in NOT_PUBLIC.split_whitespace() {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_for_webhooks_is_refused() {
        let refused = [
            (Refusal::Scheme, "http://example.com/"),
            (Refusal::Scheme, "ftp://example.com/"),
            (Refusal::Scheme, "file:///etc/passwd"),
            (Refusal::Scheme, "gopher://example.com/"),
            (Refusal::NotAUrl, "example.com"),
            (Refusal::NotAUrl, ""),
            (Refusal::NotAUrl, "https://"),
            (Refusal::NotAUrl, "https://exa mple.com/"),
            (Refusal::NotAUrl, "https://example.com/\nHost: x"),
            (Refusal::NotAUrl, "https://[::1/"),
            (Refusal::NotAUrl, "https://1.2.3.4.5/"),
            (Refusal::NotAUrl, "https://0x100000000/"),
            (Refusal::Credentials, "https://user@example.com/"),
            (Refusal::Credentials, "https://user:word@example.com/"),
            (Refusal::Credentials, "https://example.com:443@example.org/"),
            (Refusal::Fragment, "https://example.com/#a"),
            (Refusal::Port, "https://example.com:22/"),
            (Refusal::Port, "https://example.com:80/"),
            (Refusal::Port, "https://example.com:6379/"),
        ];
        for (refusal, url) in refused {
            assert_eq!(parse(url, Reach::Public).err(), Some(refusal), "{url}");
        }
        for letters in ["a".repeat(URL_MAX), "鯨".repeat(54)] {
            let long = format!("https://example.com/{letters}");
            assert_eq!(parse(&long, Reach::Public).err(), Some(Refusal::NotAUrl), "{long}");
        }
    }

    #[test]
    fn what_is_stored_is_a_url_again() {
        for text in
            ["https://example.com", "https://日本.example/鯨?鯨=%20", "HTTPS://EXAMPLE.com:443/a/../b"]
        {
            let target = parse(text, Reach::Public).expect("a URL");
            assert_eq!(parse(target.url.as_str(), Reach::Public), Ok(target.clone()), "{text}");
        }
        let longest = format!("https://example.com/{}", "鯨".repeat(53));
        let target = parse(&longest, Reach::Public).expect("a URL");
        assert_eq!(parse(target.url.as_str(), Reach::Public), Ok(target.clone()));
    }

    #[test]
    fn no_spelling_of_a_private_host_gets_past() {
        let hosts = [
            "https://localhost/",
            "https://LOCALHOST/",
            "https://localhost./",
            "https://a.localhost/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://metadata/",
            "https://example.com./",
            "https://127.0.0.1/",
            "https://127.0.0.1./",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://%31%32%37.0.0.1/",
            "https://１２７.０.０.１/",
            "https://①②⑦.0.0.1/",
            "https://127。0。0。1/",
            "https://ｌｏｃａｌｈｏｓｔ/",
            "https://0/",
            "https://[::]/",
            "https://[::1]/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
            "https://[fe80::1]/",
        ];
        for url in hosts {
            assert_eq!(parse(url, Reach::Public).err(), Some(Refusal::NotPublic), "{url}");
        }
    }

    #[test]
    fn public_urls_are_taken_and_private_ones_where_they_may_be() {
        for url in [
            "https://example.com/a?b=c",
            "HTTPS://EXAMPLE.COM:8443/",
            "https://日本.example/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(parse(url, Reach::Public).is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1:5000/a", "http://localhost:1/", "https://[::1]:22/"] {
            assert!(parse(url, Reach::Private).is_ok(), "{url}");
        }
        for url in ["ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "http://127.0.0.1/#a"] {
            assert!(parse(url, Reach::Private).is_err(), "{url}");
        }
    }

    #[test]
    fn live_endpoints_are_public_however_the_server_was_started() {
        assert_eq!(Reach::of(Mode::Live, true), Reach::Public);
        assert_eq!(Reach::of(Mode::Test, true), Reach::Private);
        assert_eq!(Reach::of(Mode::Test, false), Reach::Public);
    }

    #[tokio::test]
    async fn an_address_that_is_not_public_is_refused_when_it_is_sent_to() {
        let loopback =
            |host| Target { url: Url::parse("https://a.example/").expect("a URL"), host, port: 443 };
        let name = loopback(Host::Domain("localhost".to_owned()));
        assert_eq!(addresses(&name, Reach::Public).await, Err(Refusal::NotPublic));
        assert!(addresses(&name, Reach::Private).await.is_ok());
        let literal = loopback(Host::Ipv4(Ipv4Addr::LOCALHOST));
        assert_eq!(addresses(&literal, Reach::Public).await, Err(Refusal::NotPublic));
        assert_eq!(Refusal::NotPublic.to_string(), Refusal::NotFound.to_string());
    }
}
