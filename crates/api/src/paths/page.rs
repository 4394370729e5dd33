//! The pages that a browser is shown.

use std::fmt;

use percent_encoding::utf8_percent_encode;

use super::write::RESERVED;

/// A page, or what belongs to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Who are you?
    SignIn,
    /// The second factor.
    SecondFactor,
    /// To an OpenID Connect provider, by its name.
    With(String),
    /// Back from one.
    Callback,
    /// A link that lets somebody set a password, once.
    Welcome,
    /// A second factor is set up.
    Factors,
    /// The code that a device shows.
    Device,
    /// The sessions of whoever is signed in.
    Sessions,
    /// To sign out.
    SignOut,
    /// How pages look.
    Style,
    /// What passkeys need.
    Script,
}

impl Page {
    /// The methods it is served with.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Page::SignIn
            | Page::SecondFactor
            | Page::Welcome
            | Page::Factors
            | Page::Device
            | Page::Sessions
            | Page::SignOut => &["GET", "POST"],
            Page::With(_) | Page::Callback | Page::Style | Page::Script => &["GET"],
        }
    }

    pub(super) fn parse(folded: &[&str], sent: &[String]) -> Option<Page> {
        match folded {
            ["signin"] => Some(Page::SignIn),
            ["signin", "second"] => Some(Page::SecondFactor),
            ["signin", "with", _] => sent.get(2).cloned().map(Page::With),
            ["signin", "callback"] => Some(Page::Callback),
            ["welcome"] => Some(Page::Welcome),
            ["factors"] => Some(Page::Factors),
            ["device"] => Some(Page::Device),
            ["sessions"] => Some(Page::Sessions),
            ["signout"] => Some(Page::SignOut),
            ["pages.css"] => Some(Page::Style),
            ["pages.js"] => Some(Page::Script),
            _ => None,
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Page::SignIn => "/signin",
            Page::SecondFactor => "/signin/second",
            Page::With(name) => {
                return write!(f, "/signin/with/{}", utf8_percent_encode(name, RESERVED));
            }
            Page::Callback => "/signin/callback",
            Page::Welcome => "/welcome",
            Page::Factors => "/factors",
            Page::Device => "/device",
            Page::Sessions => "/sessions",
            Page::SignOut => "/signout",
            Page::Style => "/pages.css",
            Page::Script => "/pages.js",
        })
    }
}
